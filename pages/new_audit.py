"""Start an audit from here, watch it, stop it, continue it."""

import streamlit as st

from auditor.dashboard import starting, state
from auditor.dashboard.drafts import configurations
from auditor.dashboard.place import Place
from auditor.dashboard.words import plain
from auditor.errors import AuditorError

state.address({})
st.title("New audit")
shared = state.served()
try:
    place = Place(shared.configurations, shared.library.folder, shared.address)
except AuditorError as error:
    st.error(plain(error))
    st.stop()
starting.running(place)
st.header("Configuration")
found = configurations(place.folder)
if not found:
    st.info(
        f"No configuration lies in {plain(place.folder)}, where this dashboard was started. Put a "
        "TOML file there (docs/configuration.md shows one), or start the dashboard in its folder."
    )
    st.stop()
name = st.selectbox("File", [entry.name for entry in found], key="configuration")
problem = next(entry.problem for entry in found if entry.name == name)
if problem:
    st.error(plain(problem))
starting.editor(place, name)
starting.checking(place, name)
starting.launcher(place, name)
