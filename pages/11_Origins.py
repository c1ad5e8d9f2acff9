"""Origins: where an activation of a text comes from, layer by layer down to the words."""

import streamlit as st

from tfactors.app.frame import controls, shell
from tfactors.app.parts import live_model, reader_text
from tfactors.app.views import origins as origins_view
from tfactors.portrait import definitions

bundle = shell.bundle()
st.title("Origins", anchor=False, help=definitions.ORIGINS)
st.markdown(
    "Where does an activation come from? The factor that you choose is shared out among the "
    "factors, words and rests one layer below, those again, and so on down to the lowest layer."
)
if not bundle.abilities.origins:
    st.markdown(bundle.abilities.origins.why_not)
    st.stop()
missing = live_model.missing_part(bundle)
if not missing:
    live_model.prepare(bundle)
text = reader_text.ask(bundle)
if missing:
    live_model.show_how_to_get(bundle)
else:
    reader_text.suggest(text, {controls.FACTOR: None})
    origins_view.show(bundle, text)
reader_text.sidebar(bundle)
