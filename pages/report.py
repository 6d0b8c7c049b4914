"""The report of a run: what it holds, how it looks, and its files."""

import streamlit as st

from auditor.dashboard import state
from auditor.dashboard.reporting import made
from auditor.dashboard.words import plain
from auditor.errors import AuditorError
from auditor.language import LANGUAGES
from auditor.report import MOST_EXAMPLES, SECTIONS, ReportOptions, available
from auditor.types import PADDING

TYPES = {
    "html": "text/html",
    "pdf": "application/pdf",
    "md": "text/markdown",
    "json": "application/json",
}

NAMES = {"en": "English", "ja": "日本語"}

opened = state.opened()
state.address({})
st.title("Report")
sections = st.multiselect(
    "Sections",
    list(SECTIONS),
    default=list(SECTIONS),
    format_func=lambda name: str(SECTIONS[name]),
    wrap=True,
)
left, middle, right = st.columns([2, 3, 4], gap="medium")
examples = left.slider("Example cases", 0, MOST_EXAMPLES, 8)
language = left.selectbox(
    "Language",
    LANGUAGES,
    format_func=lambda name: NAMES.get(name, name),
    help="That of every fixed sentence; names, labels and notes stay as they are.",
)
images = middle.toggle("Include images", value=True, help="Without them no pixel leaves this run.")
middle.caption(
    "Images of people may be personal data: leave them out of a report that goes to readers "
    "who may not see the dataset."
)
reviews = right.toggle("Include the verdicts of reviewers", value=True)
blur = right.multiselect(
    "Make unrecognisable",
    [name for name in opened.run.info["regions"]["names"] if name != PADDING],
    help="These regions and a margin around are pixelated in every picture. An image in which one "
    "of them is not annotated is left out.",
    disabled=not images,
)
if not sections:
    st.info("Choose at least one section.")
    st.stop()
try:
    hidden = tuple(blur) if images else ()
    options = ReportOptions(tuple(sections), examples, images, hidden, language=language)
    with st.spinner("Writing the report …", show_time=True):
        page = made(opened, "html", options, reviews)
except AuditorError as error:
    st.error(plain(error))
    st.stop()
with st.container(horizontal=True):
    for name in available():
        st.download_button(
            f"Download .{name}",
            lambda name=name: made(opened, name, options, reviews),
            file_name=f"{opened.run.path.name}.{name}",
            mime=TYPES.get(name, "application/octet-stream"),
            icon=":material/download:",
            key=f"download_{name}",
            on_click="ignore",
        )
st.caption(f"{len(page) / 1e6:.1f} MB as HTML. Preview:")
with st.container(border=True):
    st.iframe(page.decode("utf-8"), height=900)
