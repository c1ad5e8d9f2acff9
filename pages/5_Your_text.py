"""Your text: paste one and see every word fall apart into factors, λ live."""

import streamlit as st

from tfactors.app.frame import shell
from tfactors.app.parts import live_decomposition, live_model, reader_text
from tfactors.app.views import text as text_view
from tfactors.errors import InputError

bundle = shell.bundle()
st.title("Your text", anchor=False)
if not bundle.abilities.live_model:
    st.markdown(bundle.abilities.live_model.why_not)
    st.stop()
missing = live_model.missing_part(bundle)
if not missing:
    live_model.prepare(bundle)
text = reader_text.ask(bundle)
if missing:
    live_model.show_how_to_get(bundle)
else:
    reader_text.suggest(text)
    try:
        decomposition = live_decomposition.decomposition_of(bundle, text)
    except InputError as error:
        live_model.show_refusal(error)
    else:
        text_view.show(bundle, text, decomposition)
reader_text.sidebar(bundle)
