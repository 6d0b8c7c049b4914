"""The review desk: a queue with filters, a gallery of it, and one case in detail."""

import streamlit as st

from auditor.dashboard import desk, state
from auditor.dashboard.cards import cards
from auditor.dashboard.components import gallery
from auditor.dashboard.words import many, plain
from auditor.errors import AuditorError

opened = state.opened()
wanted = state.current_filter()
row = desk.row_of_address(opened)
place = {"case": opened.index.case(row)} if row is not None else desk.page_param()
state.address({**wanted.params(), **place})
desk.filters(opened, wanted)

try:
    verdicts = opened.reviewing.verdicts(state.reviewer())
    rows = opened.index.select(wanted, verdicts)
except AuditorError as error:
    st.error(plain(error))
    st.stop()

if row is not None:
    desk.case(opened, wanted)
    st.stop()

st.title("Cases")
told = wanted.described() or "all"
st.markdown(f"**{many(len(rows), 'case')}** of {len(opened.index):,}: {plain(told)}")
if wanted.finding is not None and wanted.finding < len(opened.run.findings):
    st.info(plain(opened.run.findings[wanted.finding]["text"]), icon=":material/link:")
if not len(rows):
    st.info("No case fulfils these conditions. Take one of them away in the sidebar.")
    st.stop()
pages = -(-len(rows) // desk.A_PAGE)
number = desk.page_number(pages)
shown = rows[number * desk.A_PAGE : (number + 1) * desk.A_PAGE].tolist()
gallery(cards(opened, shown, verdicts), "Cases", "gallery", desk.open_case, width=190)
desk.page_turner(pages)
