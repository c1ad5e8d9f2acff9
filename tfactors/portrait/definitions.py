"""What each number on a page means, in the words of its tip.

docs/reference/numbers says the same with formulas and sources.
"""

IMPORTANCE = (
    "How strongly the factor shows at a layer: the mean of its {k} largest activations there, over "
    "the whole corpus. Activations are coefficients α of x = αΦ + ε, in units of hidden states "
    "scaled to a mean norm of √d."
)
DENSITY = "The share of the corpus's tokens of which the factor is a part at this layer (α > 0)."
MAXIMUM = "The largest activation of the factor at this layer in the whole corpus."
RETAINED_WORD = (
    "What is left of the activation when the model reads the word alone and nothing around it. "
    "Mean over the factor's strongest examples at its peak layer."
)
RETAINED_SENTENCE = (
    "What is left of the activation when the model reads only the word's own sentence. Mean over "
    "the factor's strongest examples at its peak layer. A short text is read unlike a long "
    "one, so this exaggerates."
)
REACH = (
    "How many tokens on each side the model has to see to keep 80% of the activation. Mean curve "
    "over the factor's strongest examples at its peak layer."
)
CUTTING = (
    "A short text is read unlike a long one, so part of what is lost is lost for lack of any text, "
    "not of this one: docs/why/levels.md measures both."
)
DISTANCE = (
    "Depth is the peak layer divided by the number of blocks. The distances are differences to the "
    "thresholds in force, which the sidebar changes."
)
STANDARD_ERROR = (
    "How far a weight of LIME would move with other masks (robust formula HC3). Only a weight "
    "beyond 3 standard errors and 10% of the activation can be told from zero, and is coloured. "
    "Occlusion has none: nothing is left to chance."
)
MAP_STABILITY = "Correlation of the weights that two halves of LIME's masked texts give."
MAP_AGREEMENT = (
    "Correlation of LIME's weights with those of occlusion, the marked word left out: 1 is the "
    "same map. Occlusion leaves out one token at a time, so it misses words of which one is enough."
)
PEAK = "The layer where the factor's importance is largest. Layer 0 is the embedding output."
DEPTH = "Peak layer divided by the number of blocks: 0 at the embeddings, 1 at the last block."
FACTOR = "The number of the factor: its row in the dictionary."
WORDS = "What the factor is called: a label that somebody wrote, else its own label or words."
CURVE = "Importance at each layer, from the embeddings on the left to the last block."
PEAK_IMPORTANCE = (
    "The mean of the factor's largest activations at its peak layer: how strongly it shows there."
)
IMPORTANCE_THERE = (
    "The mean of the factor's largest activations at the layer of this row: how strongly it shows "
    "there."
)
WORD_SHARE = (
    "The share of the variance of its activation, at its peak layer, that lies between tokens: how "
    "much the word itself decides."
)
LABEL_F1 = "The harmonic mean of the precision and the recall of the factor's label."
LAYER = "Layer 0 is the embedding output, layer n what block n puts out."
L0 = "Mean number of active factors a token: how many terms the equation of a token has."
EXPLAINED_VARIANCE = (
    "1 − Σ‖x − x̂‖² / Σ‖x − x̄‖² on documents that the dictionary never saw. Predicting the mean "
    "of the layer gives 0, perfect reconstruction 1."
)
ALIVE = "The share of factors that are active at least once in the corpus."
MODEL_LABEL = (
    "What a language model called the factor, shown some of its places and near misses; whose it "
    "is stands on the factor's page."
)
MODEL_SCORE = (
    "Balanced accuracy of detection: the model was shown places it had not seen, some active and "
    "some near misses, and said which fit its label. Chance is 50%."
)
RULE_SCORE = "The same, where the model was given the name that a rule made."
LABEL_KIND = (
    "What the label is a rule about: a word, a lemma, an affix, part of a name, a number, "
    "punctuation, a class of words, a position, a source; a pattern of neighbouring words, a word "
    "in one use, the topic of a window; mixed where no rule holds."
)
LABEL_PRECISION = (
    "Of the tokens (of a high-level factor: the windows) that fit the rule of the label, in text "
    "that did not propose it, the share that activate the factor; a weak activation counts in part."
)
LABEL_RECALL = (
    "Of the tokens (of a high-level factor: the windows) that activate the factor strongly, in "
    "text that did not propose the rule of the label, the share that fit it."
)
STABILITY = (
    "Cosine between the factor and its nearest neighbour in a dictionary learnt with another "
    "seed: 1 means that it was found again."
)
MATCH = (
    "The mean activation over all tokens of the words at this layer, as a share of the factor's "
    "importance at its peak: 1 means that the factor is about these words."
)
MEANING = (
    "Sentence embeddings: the cosine of the question with the mean over the factor's name and the "
    "words around its strongest examples at its peak layer, of each the signs. Unrelated texts are "
    "about 0; something is always nearest."
)
FIRES = (
    "The largest activation in the sentence, at any layer, as a share of the factor's importance "
    "at its peak: 1 means that it fires as strongly as on its strongest examples."
)
MAP = (
    "By likeness: places in two dimensions in which factors lie near each other whose directions "
    "and words are alike; only nearness means something. By level: on how many words its "
    "strongest examples spread, and how much the window decides; of older bundles, the depth of "
    "the peak layer, and what the word's own sentence keeps."
)
MATCH_LAYER = "The layer where it matches best; a click opens it there."
ACTIVE_ON = "The share of the words' tokens that activate it at this layer."
MEAN_ACTIVATION = "Its mean activation at this layer on the tokens that activate it."
FIRES_ON = "The token of the sentence that activates it most."
FIRES_LAYER = "The layer where it fires most strongly; a click opens it there."
COSINE = "Of the two directions: 1 is the same direction, 0 is unrelated."
SHARED_EXAMPLES = (
    "The places in the text where both factors have one of their up to 200 stored examples, out of "
    "the places where at least one has: here at the layers shown, in the table at the peak layers."
)
SHARED_WORDS = "How many of the up to ten commonest words of their examples the two have in common."
MATCHES = (
    "Chosen among the 30 nearest by cosine and the 30 with most words in common; the cosine orders "
    "them, where there is one, then the share of examples in common, then the words."
)
ACTIVE_FACTORS = "How many terms this token's equation has at this layer."
SHARE_EXPLAINED = "1 − ‖ε‖² / ‖x‖² of this token at this layer: 1 leaves nothing over."
RESIDUAL = (
    "The length of ε, what the factors leave over of the hidden state x of this token at this "
    "layer, and the length of x."
)
BESIDE = (
    "The two tokens: their activations at this layer. The whole texts: the largest activation of "
    "each factor over all tokens of the text."
)
EQUATION = (
    "The hidden state of the token as a sum of factors: each number is the activation α of that "
    "factor, ε what is left over. Largest first. “Itself” is what the token brings of its own "
    "wherever it stands, in bundles that take it away before factors are sought."
)
OWN_PART = (
    "Of the squared length of the hidden state x: the word is 1 − ‖x − b‖²/‖x‖², with b what the "
    "token brings of its own at this place; the rest is ‖ε‖²/‖x‖²; factors are what is between."
)
OWN_PART_OF_BUNDLE = (
    "Of the variance of held-out hidden states: the word is what the token's own part b explains, "
    "factors what they explain beyond it, the rest what nothing explains."
)
IN_WHICH = "In which of the two the factor is active."
HERE = "Its activation in this text."
THERE = "Its activation in the other text."
APART = "Its activation in this text minus that in the other."
OVER_LAYERS = "The number behind each name is the factor's activation α at that layer; the bar too."
PATH = (
    "The codes of this token, solved for 24 values of λ, each from the one before. Where a line "
    "leaves zero, the factor becomes worth its price."
)
ACTIVATION = "The coefficient α of the factor in the equation of the marked word at this layer."
WORDS_AROUND = (
    "The strongest examples at this layer, lined up by their marked words. At each place the "
    "commonest word, and its share of the examples that have a word there (a window may end "
    "before). Upper and lower case count as one, and a mark is a word. Words that stand in one "
    "example only are left out."
)
SCORE = (
    "How well the weights explain the model nearby: the weighted R² of the linear fit to the "
    "activations of the masked texts. 1 is a perfect fit; below 0.5 read the colours with caution."
)

ROWS = "Rows of the one dictionary that all layers share."
TOKENS_READ = "Tokens of the corpus. Every one was coded at every layer."
TOKENS_SHOWN = "Tokens in all examples of the website."
LABELLED_BY = "You, in this browser; or the file of labels beside the bundle."
OWN_LABEL = "What somebody wrote that the factor stands for."
NOTE = "What somebody wrote about it."
HISTOGRAM = (
    "How many tokens of the corpus activate the factor how strongly. Both axes are logarithmic. "
    "The examples are taken from the right of the dashed line: they show the factor at its "
    "strongest, which is not how it usually looks."
)

LEVEL = (
    "What decides whether the factor fires: low the word, mid what stands around it, high the text "
    "beyond. A factor's own page gives the rule with its numbers."
)
LEVEL_RULE = (
    "Low, one word or a few: the strongest examples spread on {words:g} words or fewer. High, many "
    "words of the same texts: of the others, those of whose variance at least {share:.0%} lies "
    "between windows of text, and whose activations spread on {windows:g} windows or more{few}. "
    "Mid, many words in whatever text: the rest."
)
LEVEL_RULE_OF_FEW = "; of those of few words, too, from {share:.0%} on"
FEW_WORDS_SHARE = (
    "Factors of few words are high-level too where the window decides so much of their variance: "
    "*Mexico* and *Mexican*, in texts about Mexico."
)
EFFECTIVE_WORDS = (
    "On how many words its strongest examples spread: as many as would share their activation "
    "evenly, exp(−Σ p log p), p the share of a word (upper and lower case alike) in the sum of "
    "their activations at its peak layer."
)
EFFECTIVE_WINDOWS = (
    "On how many windows of text all its activations spread, in windows drawn from the whole "
    "corpus, reckoned as with words: few say that it answers to a passage or two."
)
WINDOW_SHARE = (
    "The share of the variance of its activation over all tokens that lies between windows: 1 if "
    "it is on or off for whole windows, 0 if it fires in any window alike."
)
DECIDES = (
    "Shares of the variance of its activation over all tokens at its peak layer. Word: which token "
    "it is. Window: which window it is, at most what the word leaves. Sentence: what the word's "
    "own sentence keeps inside another text, beyond these two. Rest: what none of them decides. "
    "They overlap, as a word is commoner in some texts; what overlaps is counted once."
)
OLDER_LEVEL_RULE = (
    "Low, the word or its place decides: the importance peaks at a depth of {low:.0%} or less, or "
    "the same words elsewhere keep at least {word:.0%} of the activation, or as many of the "
    "examples stand in the same 8 tokens of their windows. High, the text beyond the "
    "sentence decides: of the others, those whose own sentence inside another text keeps less than "
    "{sentence:.0%}. Mid, the sentence decides: the rest."
)
OLDEST_LEVEL_RULE = (
    "Low: the importance peaks at or below the depth threshold. High: it peaks later, and the "
    "word's own sentence, cut out, keeps less than the second threshold. Mid: the rest. (Bundles "
    "built before November 2026; newer ones ask what decides whether a factor fires.)"
)
WORD_ELSEWHERE = (
    "Share of the activation that the same words have at other places of the corpus, two drawn by "
    "chance for each of the strongest examples at the peak layer; mean, each at most 100%."
)
KEPT_BY_SENTENCE = (
    "What the word's own sentence keeps of the activation inside another text; in bundles built "
    "before November 2026, cut out and alone."
)
SENTENCE_ELSEWHERE = (
    "Share of the activation that is left when all but the word's own sentence is the text of "
    "another window; mean over the strongest examples at the peak layer, each at most 100%."
)
LEVEL_MEANING = {
    "low": "it fires on one word or a few",
    "mid": "it fires on many words, in whatever text: a kind of word, a role, a phrase",
    "high": "it fires on many words of the same texts: what the text is about decides",
}
OLDER_LEVEL_MEANING = {
    "low": "the word itself, or its place, decides whether the factor fires",
    "mid": "the sentence decides: a sense, a role, a phrase",
    "high": "the text beyond the sentence decides",
}

LAYER_WORDS = (
    "The words with the largest summed activation at each layer, the sum as a bar. The number is "
    "the share of the word's tokens that activate the factor there."
)
CORPUS = (
    "Where the factor's strongest examples come from, beside what a random draw of tokens would "
    "give. A factor lives where its share is well above that of the corpus."
)
DECADES = (
    "Bars: share of the factor's dated examples that are from the decade. Lines: share of all "
    "dated tokens that are."
)
SAMPLE = (
    "A band is a range of activations at this layer. Its share of all activations is counted in "
    "the histogram, so bands end at its edges: those nearest to the strongest tenth, half and "
    "three quarters. What stands in a band was drawn from all, each with the same chance."
)
EXAMPLE_FILTER = (
    "Leaves only examples with a word, of a source or of some years. It holds for the next factors "
    "as well, and is in the link."
)
CONTRAST = (
    "Words at none of whose tokens the factor is active, though the model holds them for like its "
    "strongest examples: by the cosine of hidden states at this layer, less the mean of all that "
    "were read."
)
TOGETHER = (
    "Correlation of two truth values over the held-out tokens: is the one factor active, is the "
    "other. Only factors that met on at least ten tokens."
)
VOCABULARY = (
    "Cosine of the factor with the input embedding of a token (what layer 0 holds for the token "
    "alone, less the mean of all tokens). High values: the factor is about the word itself."
)

EFFECT = (
    "What the factor does, not what it fires on: it is taken away from the hidden state of an "
    "example's word, x − αΦ, and the rest of the network runs on. How far the mean of the window's "
    "final states, its sentence embedding, moves, in shares of its length; mean over the strongest "
    "examples at the factor's strongest layer below the last."
)
EFFECT_RANDOM = "The same, with steps of the same length in directions drawn at random."
EFFECT_RATIO = (
    "The one over the other: 1 says that the factor does no more than any direction. ± is the "
    "standard error over the examples."
)
EFFECT_ABOVE = "The share of the single random directions that did less in the same example."
EFFECT_ELSEWHERE = (
    "The share of the squared change of the final states that falls on other tokens than the one "
    "that was changed: how far what the factor says travels."
)
INTERVENTION = (
    "The hidden state is moved along the factor, x + (times − 1)αΦ, at this token or at every one, "
    "and the rest of the network runs on."
)
EMBEDDING_CHANGE = "How far the mean of the final states moves: ‖ȳ′ − ȳ‖ / ‖ȳ‖."
RANDOM_CHANGE = (
    "The same for steps of the same length in 16 directions drawn at random: mean ± standard "
    "deviation."
)
EMBEDDING_COSINE = "Of the sentence embedding before and after: 1 is the same direction."
SIMILARITY = (
    "Of the sentence embeddings of this text and of the other text, before and after the factor "
    "was moved in this one."
)
PREDICTED = (
    "What the model's language-model head makes of the final state: the next word for a decoder, "
    "the word at the place for a masked model; the 8 that gain and the 8 that lose most of their "
    "probability."
)
PROBABILITY = "Of the word, by the model's language-model head; before and after the step."
GAIN = "After minus before, in points of a per cent."
SENSE_WORD = "A word of the corpus, in lower case."
SENSE_LAYER = "The layer at which the occurrences of the word separate best."
OCCURRENCES = "How many places of the word were looked at, drawn at random: at most 48."
GROUPS = "How many groups its occurrences fall into at that layer."
SILHOUETTE = (
    "How well the groups separate: the mean over the occurrences of (b − a) / max(a, b), a being "
    "the mean distance to the others of the own group and b that to the nearest other group; "
    "distances are 1 − cosine of the codes. 1 is perfect, 0 says that there are no groups."
)
CHANCE = (
    "The silhouette of groups found in the same way after every factor's activations have been "
    "dealt out anew among the occurrences, so that factors go together no more: mean of 20 draws. "
    "Groups whose silhouette is not above it say nothing."
)

# Origins
ORIGINS = (
    "Integrated gradients from the mean state of the layer below, over the words alone, to the "
    "states as they are. Contributions add up to the activation."
)
CARRIED = (
    "What a circle, square or diamond carries of the activation: 100% the chosen factor; each is "
    "shared out among its sources by the sizes of their contributions, whatever their sign."
)
MADE_FROM = (
    "The factors one layer below and the words of other tokens that carry most of the factor's "
    "activations: what to first order is lost when they are taken away, as a share of the "
    "activation, over activations drawn at random at its peak layer. ± is how much activations "
    "differ."
)
ARROWS = (
    "From the dots that the selected factor is made from one layer below its peak (solid), and to "
    "those that it goes into (dashed); at most twelve of each."
)
GOES_INTO = (
    "The factors that have this one among their strongest sources one layer below their own peak, "
    "with the share of their activation that it carries."
)
SHARE_KEPT = (
    "At each layer the factors are kept, those that carry most first, until they carry this share "
    "of what all of its factors carry. Words, rests and the mean state are always kept."
)
PREDICTED_CHANGE = (
    "Minus the sum of the contributions of the factors that are taken away, as a share of the "
    "activation."
)
MEASURED_CHANGE = (
    "What the model then gives: the change of the activation as the linear function of the state "
    "that it is while the same factors are active, as a share of it."
)
CODED_CHANGE = (
    "The same of the activation in a code that is found anew. It jumps where other factors join "
    "or leave."
)
TAKEN_AWAY = (
    "Active factors one layer below, at whatever token, that are taken out of the states together: "
    "those with the largest contributions, or some drawn by chance."
)
