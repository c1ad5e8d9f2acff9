"""Home: the idea, three factors to begin with, and what this bundle is."""

import streamlit as st

from tfactors.app.frame import controls, shell
from tfactors.app.parts import downloads, factor_card, figures, own_part, showcase
from tfactors.app.views import home as home_view
from tfactors.display.text import as_html
from tfactors.portrait import definitions, origin

bundle = shell.bundle()

st.title("What does a language model see in a word?", anchor=False)
st.html(
    f'<p class="tf-lead">To a model, each word of a text is a list of {bundle.width} numbers, '
    f"made anew by each of its {bundle.blocks} layers. Taken one by one the numbers mean nothing. "
    "Taken together they do: every such list is the sum of a few <b>transformer factors</b>, "
    "directions that each stand for one thing, such as a sense of a word, a turn of phrase or a "
    "topic.</p>"
)
# Inline, because a displayed formula does not wrap on a telephone.
st.markdown(
    r"$\text{apple} \;=\; 0.09\,\textsf{dessert} + 0.11\,\textsf{organism} + 0.16\,\textsf{fruit} "
    r"+ 0.22\,\textsf{mobile \& IT} + 0.42\,\textsf{other}$",
    text_alignment="center",
)
st.markdown(
    f"This dashboard shows the {bundle.n_factors:,} factors that were found in one model by "
    "reading a large text: the words each one answers to, and where in the network it lives."
)

st.space("small")
st.subheader("Three factors worth a click", anchor=False)
chosen = showcase.factors_by_level(bundle)
columns = st.columns(max(len(chosen), 1), gap="large")
for column, (level, best) in zip(columns, chosen.items(), strict=False):
    with column, st.container(border=True, height="stretch", gap="xsmall"):
        factor = home_view.choose_factor(level, best)
        factor_card.show(bundle, factor, level)
        shell.link(
            controls.FACTOR_PAGE,
            f"Open factor {factor:,}",
            ":material/arrow_forward:",
            changes={controls.FACTOR: factor, controls.LAYER: controls.PEAK},
        )
shell.link(controls.RANDOM_PAGE, "Or draw one of each level at random", ":material/casino:")

st.space("small")
left, right = st.columns(2, gap="large")
with left:
    st.subheader("How it works", anchor=False)
    st.markdown(
        "A hidden state $x$ of any layer is written with one dictionary $\\Phi$ that all layers "
        "share:"
    )
    own = bundle.about.baseline is not None
    st.latex(rf"x \;=\; {'b + ' if own else ''}\alpha\,\Phi + \varepsilon, \qquad \alpha \ge 0")
    if own:
        st.markdown(
            "First comes $b$, what the word brings of its own wherever it stands; the factors say "
            "what this text has made of it."
        )
    st.markdown(
        "Each row of $\\Phi$ is a factor. The weights $\\alpha$ are its *activations*: "
        f"{home_view.coding_sentence(bundle)}\n\n"
        "Because the dictionary is the same everywhere, a factor's *importance* (its mean "
        "activation where it is strongest) can be followed from layer to layer. "
        f"{home_view.level_lines(bundle)}\n\n"
        "The method and the apple are from Yun, Chen, Olshausen and LeCun (2021), *Transformer "
        "visualization via dictionary learning*."
    )
with right:
    st.subheader("This bundle", anchor=False)
    figures.show(origin.figures(bundle))
    rows = "".join(
        f"<dt>{as_html(name)}</dt><dd>{as_html(text)}</dd>"
        for name, text in origin.origin_facts(bundle)
    )
    st.html(f'<dl class="tf-facts">{rows}</dl>')
    if (parts := own_part.of_bundle(bundle)) is not None:
        st.markdown("**How much of a state is the word**", help=definitions.OWN_PART_OF_BUNDLE)
        own_part.show(parts, "Shares of word, factors and rest at every layer.", "own_part")
    if (table := home_view.quality_by_layer(bundle)) is not None:
        home_view.show_quality(table)
        downloads.show(lambda: table, "layers")
