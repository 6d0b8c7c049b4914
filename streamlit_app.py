"""The dashboard's entry script; `auditor dashboard` starts it."""

import streamlit as st

from auditor.dashboard import state
from auditor.dashboard.words import plain
from auditor.errors import AuditorError

st.set_page_config(page_title="Auditor", page_icon=state.ICON, layout="wide")
state.served()
st.html(state.STYLE)
page = st.navigation(
    {
        "Understand": [
            st.Page("pages/overview.py", title="Overview", icon=":material/flag:", default=True),
            st.Page("pages/dataset.py", title="Dataset", icon=":material/dataset:"),
            st.Page("pages/groups.py", title="Groups", icon=":material/groups:"),
            st.Page("pages/attention.py", title="Attention", icon=":material/blur_on:"),
        ],
        "Decide": [
            st.Page("pages/cases.py", title="Cases", icon=":material/image_search:"),
            st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
            st.Page("pages/report.py", title="Report", icon=":material/description:"),
        ],
        "Audit": [st.Page("pages/new_audit.py", title="New audit", icon=":material/add_circle:")],
    }
)
state.sidebar()
try:
    page.run()
except AuditorError as error:
    # A file of the run that is damaged or gone; what could be shown before it stands above.
    st.error(plain(error))
