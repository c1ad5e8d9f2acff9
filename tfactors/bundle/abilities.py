"""What a bundle can do, and how to word what it cannot.

Turns what a bundle holds into one object whose every attribute is an :class:`Ability`: true where
the bundle has it, and with the sentence that stands in its place for readers where it has not. So a
page asks and answers in one form, whatever the reason is that something is missing:

    if not bundle.abilities.samples:
        st.caption(bundle.abilities.samples.why_not)

There are three reasons. A bundle of the 2021 website holds what was published: examples in order,
no activations and no dictionary. An older tfactors, or a quick build, left tables out. And the
codes of an autoencoder's own encoder know no λ.
"""

from collections.abc import Callable
from dataclasses import dataclass

NO_DICTIONARY = (
    "This takes the dictionary, and the website never published one: this bundle holds its "
    "examples alone."
)
NO_ACTIVATIONS = "The website shows the order of the examples, and no activation."
NO_TINTS = (
    "The number before an example is its rank on the website. Nothing around the marked word is "
    "tinted, because activations were never published."
)
NO_HEIGHTS = (
    "Read from the picture on the website, whose axis is scaled for each factor: 0 is the lowest "
    "point of this factor's curve and 1 its highest, so factors cannot be compared by height."
)
NO_CURVE = "The picture of its curve is missing, or could not be read."
NO_SAMPLE = "The website shows the strongest examples alone."
NO_DOCUMENTS = "The website does not say from which article of WikiText-103 an example is."
NO_FILTERS = "The website published no activations to filter by."
NO_MAP = (
    "The website has the colours of LIME for the factors 500 to 531 alone, and this folder has "
    "none for this one at this layer."
)
READ_FROM_COLOURS = (
    "Read back from the colours of the website: each weight is a share of the largest of its sign "
    "in that text, so neither texts nor signs can be compared."
)
LISTED_LEVELS = (
    "Low, mid and high are the lists on the website, which its authors made by hand. A factor that "
    "stands in none is low where its peak is at or below the depth threshold, else has no level."
)
MARKED_WORDS = "The words marked in the examples of each layer, and in what share of them."
MARKED_MATCH = "Share of the factor's examples at this layer that mark one of these words."
NO_PENALTY = "The codes are those of the autoencoder's own encoder, which knows no λ."
OLDER = "This bundle does not say: it was imported, or built by an older tfactors."
OLDER_SAMPLE = "This bundle holds no random sample: it was imported, or built by an older tfactors."
OLDER_EFFECTS = (
    "This bundle holds no effects: an older tfactors built it, or the quick preset, or of a model "
    "that cannot run on from changed states."
)
OLDER_REGIONS = (
    "The regions of this map have no names: it was built by an older tfactors. A newer one names "
    "them."
)
NO_FACTOR_ORIGINS = (
    "This bundle does not say what its factors are made from: an older tfactors built it, or the "
    "quick preset, or of a model that cannot run on from changed states; 'tfactors build' with "
    "--origin-examples 6 measures it."
)
NO_MEANINGS = (
    "This bundle cannot be searched by meaning: an older tfactors built it, or there was no model "
    "that embeds sentences; 'tfactors build' with --meaning-contexts 10 makes what it takes."
)
ONE_LAYER = (
    "This bundle takes a single layer of the model apart: what an activation there was made from "
    "further down is not known."
)
NO_SECOND_SEED = "No dictionary was learnt with another seed, so nothing is known of stability."


@dataclass(frozen=True)
class Ability:
    """Something that a bundle has or lacks; true where it has it.

    Attributes
    ----------
    why_not : str
        The sentence for readers that stands in its place; "" where the bundle has it.
    """

    why_not: str = ""

    def __bool__(self) -> bool:
        return not self.why_not


@dataclass(frozen=True)
class Abilities:
    """What a bundle can do; :meth:`of` finds it out.

    Attributes
    ----------
    dictionary : Ability
        The factors themselves, Φ: factors can be compared by direction, texts can be coded.
    live_model : Ability
        The bundle's model, where it is installed, can be asked: for that it takes the dictionary.
    evaluation : Ability
        `tfactors evaluate` can measure the bundle.
    penalty : Ability
        The codes are solved for a λ, which a reader may change.
    activations : Ability
        Examples, words and tables have activations, and not ranks alone.
    token_activations : Ability
        What a factor does at the other tokens of its strongest examples is stored, or the model
        can be asked.
    heights : Ability
        The curves of all factors are to one scale, so that factors can be put in the order of
        their importance.
    curves : Ability
        The curve of every factor is known.
    silence : Ability
        Where a factor has no example, it is known to be silent; see :meth:`Abilities.nothing_at`.
    samples : Ability
        Activations drawn at random.
    documents : Ability
        It is known in which document an example stands, and what stands beside it.
    whole_words : Ability
        Words are counted in all text that was read, and not in the examples alone.
    word_matches : Ability
        A search tells by activations how well a word fits a factor.
    filters : Ability
        Factors can be filtered by density and by how good their labels are.
    level_rule : Ability
        All that the rule of the levels asks was measured.
    retention : Ability
        What is left of activations when context is cut away.
    origins : Ability
        What an activation was made from at the layers below can be asked of the model.
    factor_origins : Ability
        What factors are made from, over their activations, and what they go into.
    saliency : Ability
        Maps of the words that an activation depends on are measured, and new ones can be made.
    saliency_maps : Ability
        It is for every factor possible to have one.
    neighbours : Ability
        Factors that fire on the same tokens.
    regions : Ability
        The parts of the map by likeness have names.
    vocabulary : Ability
        Tokens of the model's vocabulary near a factor.
    effects : Ability
        What removing a factor does to the sentence embedding.
    meanings : Ability
        Factors can be searched by meaning, where the model that embeds sentences is installed.
    second_seed : Ability
        The dictionary that another seed gave, with which stability was measured.
    """

    dictionary: Ability
    live_model: Ability
    evaluation: Ability
    penalty: Ability
    activations: Ability
    token_activations: Ability
    heights: Ability
    curves: Ability
    silence: Ability
    samples: Ability
    documents: Ability
    whole_words: Ability
    word_matches: Ability
    filters: Ability
    level_rule: Ability
    retention: Ability
    origins: Ability
    factor_origins: Ability
    saliency: Ability
    saliency_maps: Ability
    neighbours: Ability
    regions: Ability
    vocabulary: Ability
    effects: Ability
    meanings: Ability
    second_seed: Ability

    @classmethod
    def of(cls, coding_method: str, has: Callable[[str], bool], layers: int = 2) -> "Abilities":
        """Return what a bundle can do.

        Parameters
        ----------
        coding_method : str
            How its codes were made: ``solver``, ``encoder`` or ``published``.
        has : callable
            Whether it holds a file that it might do without.
        layers : int
            How many layers it takes apart.

        Examples
        --------
        >>> website = Abilities.of("published", lambda name: False)
        >>> bool(website.activations), website.activations.why_not
        (False, 'The website shows the order of the examples, and no activation.')
        >>> bool(Abilities.of("solver", lambda name: True).activations)
        True
        """
        published = coding_method == "published"

        def unless_published(why_not: str) -> Ability:
            return Ability(why_not if published else "")

        def with_table(name: str, older: str, never_published: str = "") -> Ability:
            if has(f"{name}.parquet"):
                return Ability()
            return Ability((published and never_published) or older)

        dictionary = with_table("dictionary", NO_DICTIONARY)
        return cls(
            dictionary=dictionary,
            live_model=dictionary,
            evaluation=dictionary,
            penalty=Ability(
                {"solver": "", "encoder": NO_PENALTY}.get(coding_method, NO_DICTIONARY)
            ),
            activations=unless_published(NO_ACTIVATIONS),
            token_activations=unless_published(NO_TINTS),
            heights=unless_published(NO_HEIGHTS),
            curves=unless_published(NO_CURVE),
            silence=unless_published("Its examples there are unknown."),
            samples=with_table("samples", OLDER_SAMPLE, NO_SAMPLE),
            documents=unless_published(NO_DOCUMENTS),
            whole_words=unless_published(MARKED_WORDS),
            word_matches=unless_published(MARKED_MATCH),
            filters=unless_published(NO_FILTERS),
            level_rule=unless_published(LISTED_LEVELS),
            retention=dictionary,
            origins=dictionary if layers > 1 or not dictionary else Ability(ONE_LAYER),
            factor_origins=with_table(
                "origins", NO_FACTOR_ORIGINS if layers > 1 else ONE_LAYER, NO_DICTIONARY
            ),
            saliency=unless_published(READ_FROM_COLOURS),
            saliency_maps=unless_published(NO_MAP),
            neighbours=with_table("neighbours", OLDER),
            regions=with_table("regions", OLDER_REGIONS, NO_DICTIONARY),
            vocabulary=with_table("vocabulary", OLDER),
            effects=with_table("effects", OLDER_EFFECTS, NO_DICTIONARY),
            meanings=with_table("meanings", NO_MEANINGS, NO_DICTIONARY),
            second_seed=with_table("second_dictionary", NO_SECOND_SEED, NO_DICTIONARY),
        )

    def nothing_at(self, layer: int) -> str:
        """Say that a factor has no example at a layer, and what that means.

        On the website a page may be missing, which tells nothing of the factor itself.
        """
        if self.silence:
            return f"No token of the corpus activates this factor at layer {layer}."
        return (
            f"There is no page of this factor at layer {layer}: the website never published one, "
            f"or the folder that was imported lacks it. {self.silence.why_not}"
        )
