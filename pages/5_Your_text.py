"""Your text: paste one and see every word fall apart into factors, λ live."""

import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import live_decomposition, live_model
from tfactors.app.views import text as text_view
from tfactors.errors import InputError

EXAMPLES = (
    "He left the house by the river, a letter in his left hand.",
    "The bank raised its interest rates, and the river rose to the top of the bank.",
    "The Treaty of Ghent (1814) ended the war between Great Britain and the United States.",
)

bundle = shell.bundle()
st.title("Your text", anchor=False)
if not bundle.abilities.live_model:
    st.markdown(bundle.abilities.live_model.why_not)
    st.stop()
written = url_state.value_of(controls.TEXT)
text = written.strip() or EXAMPLES[0]
st.text_area(
    f"A text of up to {live_decomposition.most_tokens(bundle)} tokens",
    height=110,
    help=f"The factors were learnt from windows of {bundle.about.corpus.window_length} "
    "tokens: in a longer text the model sees more context than they have seen.",
    **url_state.widget(controls.TEXT, written if written.strip() else text),
)
if live_model.missing_part(bundle):
    live_model.show_how_to_get(bundle)
else:
    text_view.suggest(EXAMPLES, text)
    try:
        decomposition = live_decomposition.decomposition_of(bundle, text)
    except InputError as error:
        live_model.show_refusal(error)
    else:
        text_view.show(bundle, text, decomposition)
text_view.sidebar(bundle)
