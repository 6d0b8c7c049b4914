"""The parts of the review desk; for its page alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from auditor.dashboard import state
from auditor.dashboard.cards import cards, viewer_data
from auditor.dashboard.case import CaseView, Change, Test, case_view
from auditor.dashboard.components import gallery, viewer
from auditor.dashboard.filters import REVIEWED, UNKNOWN, UNREVIEWED, Filter, whole
from auditor.dashboard.index import Coded, Rows, neighbours, next_among, position
from auditor.dashboard.media import changed_address
from auditor.dashboard.opened import Opened
from auditor.dashboard.words import EVIDENCE, FLAGS, STATUS, many, number, plain, share
from auditor.errors import AuditorError
from auditor.reviews import VERDICTS

A_PAGE = 24
_STRIP = 9  # cards of neighbours
_SHOWN = 4  # changed images an arm, before one asks for the others
_TAGS = ("look again", "discuss", "example for the report")


# -- address ----------------------------------------------------------------------------------


def row_of_address(opened: Opened) -> int | None:
    """The case in the address; None without one. Says so where the run does not have it."""
    case = st.query_params.get("case")
    if not case:
        return None
    row = opened.index.row(case)
    if row is None:
        st.warning(f"This run has no case {plain(repr(case))}.")
    return row


def open_case(row: int) -> None:
    """Show a case; the page's next run finds it in the address."""
    opened = state.served().library.open(state.chosen() or "")
    st.query_params["case"] = opened.index.case(row)


def close_case() -> None:
    """Back to the gallery."""
    st.query_params.pop("case", None)


# -- filters ----------------------------------------------------------------------------------


def filters(opened: Opened, wanted: Filter) -> None:
    """The conditions, in the sidebar; what is chosen goes into the address."""
    texts = opened.index.texts

    def put(changed: Filter) -> None:
        state.address(changed.params())

    def choice(name: str, title: str, options: dict[str, str], current: str) -> None:
        key = f"filter_{name}"
        if current and current not in options:
            options = {**options, current: current}

        def change() -> None:
            value = st.session_state[key] or ""
            if name.startswith("attribute."):
                attribute = name.removeprefix("attribute.")
                rest = [pair for pair in wanted.group if pair[0] != attribute]
                pairs = [*rest, (attribute, value)] if value else rest
                put(replace(wanted, group=tuple(sorted(pairs))))
            else:
                put(wanted.having(name, value))

        st.session_state[key] = current or None
        st.selectbox(
            title,
            list(options),
            index=None,  # or a condition once chosen could not be taken away again
            key=key,
            on_change=change,
            format_func=lambda value: options[value],
            placeholder="any",
        )

    def counted(column: Coded, words: dict[str, str]) -> dict[str, str]:
        return {
            value: f"{words.get(value, 'none' if value == UNKNOWN else value)} ({count:,})"
            for value, count in column.counts().items()
        }

    with st.sidebar:
        st.subheader("Narrow the queue")
        if wanted != Filter():
            st.button(
                "Clear all conditions", on_click=put, args=(Filter(),), icon=":material/clear:"
            )

        def search() -> None:
            put(replace(wanted, text=st.session_state["filter_text"].strip()))

        st.session_state["filter_text"] = wanted.text
        st.text_input("Id holds", key="filter_text", on_change=search)
        choice("flag", "Flag", counted(texts["flag"], FLAGS), wanted.flag)
        choice("evidence", "Evidence", counted(texts["evidence"], EVIDENCE), wanted.evidence)
        choice("cue", "Cue", counted(texts["cue"], {}), wanted.cue)
        outcomes = {"error": "errors", "correct": "correct"}
        choice("outcome", "Outcome", outcomes, wanted.outcome)
        choice("label", "Label", counted(texts["label"], {}), wanted.label)
        choice("predicted", "Predicted", counted(texts["predicted"], {}), wanted.predicted)
        chosen = dict(wanted.group)
        for name in opened.index.attributes:
            column = texts[f"attribute.{name}"]
            values = counted(column, {UNKNOWN: "not annotated"})
            choice(f"attribute.{name}", plain(name), values, chosen.get(name, ""))
        choice("status", "Status", counted(texts["status"], STATUS), wanted.status)
        own = {UNREVIEWED: "not by me yet", REVIEWED: "by me", **VERDICTS}
        choice("verdict", "My verdict", own, wanted.verdict)


def page_number(pages: int) -> int:
    """The page of the gallery in the address, from 0."""
    number = whole(st.query_params.get("page", "1"))
    return max(1, min(number or 1, pages)) - 1


def page_param() -> dict[str, str]:
    """The gallery's page as the address has it; nothing for the first."""
    page = st.query_params.get("page", "1")
    return {"page": page} if page != "1" else {}


def page_turner(pages: int) -> None:
    """Turn the gallery's pages; the address says which is shown."""
    if pages == 1:
        return
    shown = page_number(pages) + 1
    key = f"page_{shown}"

    def turn() -> None:
        st.query_params["page"] = str(st.session_state[key])

    with st.container(horizontal_alignment="center"):
        st.pagination(pages, default=shown, key=key, on_change=turn)


# -- one case -----------------------------------------------------------------------------------


@st.fragment
def case(opened: Opened, wanted: Filter) -> None:
    """One case. A fragment, so that going on to the next one draws nothing else again."""
    row = row_of_address(opened)
    if row is None:  # the way back to the gallery
        st.rerun()
    assert row is not None
    reviewer = state.reviewer()
    verdicts = opened.reviewing.verdicts(reviewer)
    try:
        rows = opened.index.select(wanted, verdicts)
        view = case_view(opened.run, opened.details, row)
    except AuditorError as error:
        st.error(plain(error))
        return
    at, before, after = neighbours(rows, row, opened.index.place)
    _navigation(opened, rows, row, verdicts, (at, before, after))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        viewer(viewer_data(opened, view, [r for r in (after, before) if r is not None]), "viewer")
    with right:
        _told(view)
        _verdict(opened, view, rows, reviewer)
    _tests(opened, view)
    st.subheader("Numbers by region", anchor=False)
    _regions(view)
    _faithfulness(view)
    st.subheader("Beside it in the queue", anchor=False)
    _strip(opened, rows, row, verdicts)


def _navigation(
    opened: Opened,
    rows: Rows,
    row: int,
    verdicts: Coded,
    around: tuple[int | None, int | None, int | None],
) -> None:
    at, before, after = around
    open_next = next_among(rows, row, opened.index.place, verdicts.codes >= 0)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Gallery", icon=":material/grid_view:", shortcut="Esc"):
            close_case()
            st.rerun()
        _step("Previous", before, "Left", ":material/arrow_back:")
        _step("Next", after, "Right", ":material/arrow_forward:")
        _step("Next unreviewed", open_next, "N", ":material/skip_next:")
        place = f"{at + 1:,} of {len(rows):,}" if at is not None else f"beside {len(rows):,}"
        done = int((verdicts.codes[rows] >= 0).sum()) if len(rows) else 0
        st.caption(f"{place} in this queue · {done:,} reviewed by you")


def _step(label: str, row: int | None, key: str, icon: str) -> None:
    st.button(
        label,
        icon=icon,
        shortcut=key,
        disabled=row is None,
        on_click=open_case,
        args=(row,),
        key=f"step_{key}",
    )


_BADGES = {
    "confirmed": "red",
    "probable": "orange",
    "map only": "blue",
    "unsupported": "gray",
    "untestable": "gray",
}


def _told(view: CaseView) -> None:
    st.subheader(plain(view.decision), anchor=False)
    st.caption(plain(view.case))
    with st.container(horizontal=True):
        if view.flag:
            st.badge(view.flag, icon=":material/flag:", color="red")
        if view.evidence:
            st.badge(view.evidence, color=_BADGES[view.evidence])  # type: ignore[arg-type]
        if view.cue:
            st.badge(plain(view.cue), color="violet")
        for name, value in view.attributes.items():
            st.badge(f"{plain(name)} = {plain(value or 'not annotated')}", color="gray")
    if view.reason:
        st.markdown(plain(view.reason))
    st.caption(
        f"Confidence {share(view.confidence)} · margin {number(view.margin)} logits · severity "
        f"{number(view.severity)}"
    )


def _verdict(opened: Opened, view: CaseView, rows: Rows, reviewer: str) -> None:
    st.markdown("**Your verdict**")
    standing = opened.reviewing.of_case(view.case)
    own = standing[standing["reviewer"] == reviewer]
    mine = own.iloc[0] if len(own) else None
    note_key, tags_key = f"note_{view.row}", f"tags_{view.row}"
    if note_key not in st.session_state:
        st.session_state[note_key] = "" if mine is None else mine["note"]
        st.session_state[tags_key] = [] if mine is None else list(mine["tags"])

    def judge(verdict: str | None, final: bool = True) -> None:
        note, tags = st.session_state[note_key], st.session_state[tags_key]
        try:
            opened.reviewing.add(view.case, reviewer, verdict, tags, note)
        except AuditorError as error:
            st.session_state["review_problem"] = str(error)
            return
        if not final:
            st.toast("Saved.")
        elif st.session_state.get("go_on", True):
            done = opened.reviewing.verdicts(reviewer).codes >= 0
            following = next_among(rows, view.row, opened.index.place, done)
            if following is not None:
                open_case(following)

    def undo() -> None:
        event = opened.reviewing.undo(reviewer)
        if event is None:
            st.toast("There is nothing left to undo.")
            return
        st.toast("Taken back.")
        back = opened.reviewing.row(event.case)
        if back is not None:
            for key in (f"note_{back}", f"tags_{back}"):
                st.session_state.pop(key, None)
            open_case(back)

    problem = st.session_state.pop("review_problem", None)
    if problem:
        st.error(plain(problem))
    current = None if mine is None else mine["verdict"]
    grid = [column for _ in range(3) for column in st.columns(2)]  # rows of even height
    for place, (name, words) in enumerate(VERDICTS.items()):
        grid[place].button(
            words,
            key=f"verdict_{name}",
            shortcut=str(place + 1),
            on_click=judge,
            args=(name,),
            type="primary" if current == name else "secondary",
            width="stretch",
            wrap=True,
        )
    grid[-1].button(
        "Undo", key="undo", shortcut="U", on_click=undo, width="stretch", icon=":material/undo:"
    )
    st.multiselect(
        "Tags", _options(st.session_state[tags_key]), key=tags_key, accept_new_options=True
    )
    st.text_area("Note", key=note_key, height=80, max_chars=4000)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Save note and tags", on_click=judge, args=(current, False), icon=":material/save:"
        )
        st.session_state.setdefault("go_on", True)
        st.toggle("Go on after a verdict", key="go_on")
    others = standing[standing["reviewer"] != reviewer]
    for other in others.to_dict("records"):
        verdict = VERDICTS.get(other["verdict"], "a note")
        note = f": {plain(other['note'])}" if other["note"] else ""
        st.caption(f"{plain(other['reviewer'])}: {verdict}{note}")


def _options(given: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*_TAGS, *given]))


# -- tests --------------------------------------------------------------------------------------


def _tests(opened: Opened, view: CaseView) -> None:
    st.subheader("What changing the pixels did", anchor=False)
    if not view.tests:
        st.caption("No pixel of this case was changed: it was not among the cases to be tested.")
        return
    st.caption(
        f"The margin is the logit of {plain(view.predicted)} minus that of "
        f"{plain(view.contrast)}; below 0 the decision would turn. As it is: {number(view.margin)}."
    )
    for test in view.tests:
        with st.container(border=True):
            _test(opened, view, test)
    if view.subject:
        with st.container(border=True):
            st.markdown("**Without the subject**")
            st.html(_sheet(opened, view, view.subject))


def _test(opened: Opened, view: CaseView, test: Test) -> None:
    error = f" ± {test.error:.2f}" if test.error is not None else ""
    reliance = "not estimated" if test.reliance is None else f"{test.reliance:.2f}{error}"
    flips = "–" if test.flips is None else f"{test.flips:.0%}"
    st.markdown(
        f"**{plain(test.cue)}**, {plain(test.by)} · share of the margin that it carries: "
        f"{reliance} · decisions turned: {flips}"
    )
    filled = test.by.startswith("filled")
    arms = (
        ("The same elsewhere" if filled else "With a cue of its own value (control)",
         test.before, test.mean_before),
        ("With the cue filled" if filled else "With a cue of another value",
         test.after, test.mean_after),
    )  # fmt: skip
    for column, (title, arm, mean) in zip(st.columns(2, gap="medium"), arms, strict=True):
        told = "no finite margin" if np.isnan(mean) else f"mean margin {mean:.2f}"
        column.caption(f"{title}  \n{told}")
        column.html(_sheet(opened, view, arm))


def _sheet(opened: Opened, view: CaseView, changes: Sequence[Change]) -> str:
    figures = []
    for change in changes:
        src = escape(changed_address(opened, view.row, change.number))
        margin = "not finite" if math.isnan(change.margin) else f"margin {change.margin:.2f}"
        turned = " · turned" if change.turns else ""
        title = f"{change.what}{f', {change.donor}' if change.donor else ''}"
        figures.append(
            f'<figure style="margin:0"><img loading="lazy" fetchpriority="low" src="{src}" '
            f'alt="{escape(view.case)}, {escape(title)}: {margin}" title="{escape(title)}" '
            'width="150" style="border-radius:6px;width:100%;height:auto">'
            f'<figcaption style="font-size:0.78rem">{escape(change.what)}<br>{margin}'
            f"<b>{turned}</b></figcaption></figure>"
        )
    columns = "repeat(auto-fill,minmax(104px,1fr))"
    grid = f'<div style="display:grid;gap:0.6rem;grid-template-columns:{columns}">'
    sheet = f"{grid}{''.join(figures[:_SHOWN])}</div>"
    if left := figures[_SHOWN:]:
        sheet += (
            '<details style="margin-top:0.5rem"><summary style="cursor:pointer;font-size:0.78rem">'
            f"{len(left)} more</summary>{grid}{''.join(left)}</div></details>"
        )
    return sheet


# -- numbers ------------------------------------------------------------------------------------


def _regions(view: CaseView) -> None:
    st.caption(
        "Mass is the share of the map's positive evidence that lies in a region; area is its share "
        "of the image, which is what chance gives; lift is mass ÷ area. Empty is undefined."
    )
    shares = {
        name: st.column_config.NumberColumn(format="percent")
        for name in ("mass", "area (chance)", "margin mass")
    }
    digits = {
        name: st.column_config.NumberColumn(format="%.2f") for name in ("lift", "margin excess")
    }
    small = {
        "p": st.column_config.NumberColumn(format="%.3f"),
        "best possible p": st.column_config.NumberColumn(
            "best p", format="%.3f", help="The smallest p that this test could give here."
        ),
    }
    table = view.regions.astype({"pointing": object})
    if (table["status"] == "ok").all():
        table = table.drop(columns="status")
    st.dataframe(
        table.where(pd.notna(table), None),
        hide_index=True,
        column_config={**shares, **digits, **small},
    )


def _faithfulness(view: CaseView) -> None:
    if view.faithful is None:
        return
    st.subheader("How faithful the maps are", anchor=False)
    st.caption(
        "Mean probability of the predicted class while the map's highest cells are taken away "
        "(deletion: lower is more faithful) and put back (insertion: higher), and the map's rank "
        "correlation with what painting over each patch takes from the logit. Random and uniform "
        "maps know nothing. Empty is undefined."
    )
    figures = [name for name in view.faithful if name != "method"]
    st.dataframe(
        view.faithful,
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.2f") for name in figures},
    )


def _strip(opened: Opened, rows: Rows, row: int, verdicts: Coded) -> None:
    at = position(rows, row, opened.index.place)
    start = max(0, min(at - _STRIP // 2, len(rows) - _STRIP))
    near = rows[start : start + _STRIP].tolist()
    gallery(
        cards(opened, near, verdicts, row), "Neighbours in the queue", "strip", open_case, 104, True
    )
    st.caption(f"{many(len(rows), 'case')} in this queue")
