"""All factors in two dimensions, and a list of those in an area that is drawn with the mouse.

Two maps share one chart. By likeness: places made at build time, like factors near one another,
with the names of regions, at any zoom. By level: on how many words a factor's strongest examples
spread, and how much of the variance of its activation the window decides, with the two thresholds
between low, mid and high; of older bundles the depth of the peak layer, and what the word's own
sentence keeps.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, store, url_state
from tfactors.app.parts import chart_clicks, factor_table, option_buttons, selection
from tfactors.app.views import map_arrows, map_charts, map_lit, map_view
from tfactors.bundle import Bundle
from tfactors.describe.levels import OlderThresholds, Thresholds
from tfactors.portrait import definitions, level_rule, map_names

_MOST_ROWS = 500
_SHOWN = "map.drawn"  # the area and the view that the chart shows
_STARTS = "map.starts"  # the chart, and what it showed when it was drawn
_OUTSIDE_CHANGES = "map.times"  # how often it came from elsewhere than the mouse
# Pixels for which names are placed: of a large screen, and of a telephone.
_WIDE, _NARROW = (1000, 620), (330, 620)
_BLOCKS = np.array(list("▁▂▃▄▅▆▇█"))
_TIP_WORDS = 6
_AXES = ("words that its strongest examples spread on", "decided by the window")
_OLDER_AXES = (
    "depth of the peak layer (0 = embeddings, 1 = last block)",
    "kept by its own sentence",
)
_BY_LEVEL = (
    "by the number of words that their strongest examples spread on and by how much of the "
    "variance the window decides, with the thresholds that part low, mid and high"
)
_BY_OLDER_LEVEL = (
    "by the depth of their peak layer and by what their own sentence keeps of the activation, with "
    "the two thresholds that part low, mid and high"
)


def show(bundle: Bundle) -> None:
    """Draw the choice of map and colour, the map, and the list."""
    by_likeness = bundle.factors["map_x"].notna().any()
    places = url_state.value_of(controls.MAP_PLACES) or ("near" if by_likeness else "levels")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        option_buttons.show(
            "Places", controls.MAP_PLACES, controls.MAP_PLACE_NAMES, places, tip=definitions.MAP
        )
        option_buttons.show("Colour", controls.MAP_COLOUR, controls.MAP_COLOURS)
        st.button(
            "All factors",
            disabled=url_state.value_of(controls.MAP_AREA) is None,
            icon=":material/select_all:",
            help="Forget the area that was drawn.",
            on_click=url_state.set_controls,
            args=({controls.MAP_AREA: None},),
        )
        map_arrows.choose(bundle)
    if places == "near" and not by_likeness:
        st.info("This bundle has no map by likeness; build it again with this tfactors to get one.")
        return
    limits = selection.thresholds_in_force(bundle)
    map_lit.controls_of(bundle, places == "near")
    frame = _dots(bundle, limits)
    rules: pd.DataFrame | None = None
    steps: tuple[float, ...] = ()
    if places == "levels":
        frame, rules, steps = _placed_by_level(frame, bundle, limits)
    frame = frame.dropna(subset=["x", "y"])
    if frame.empty:
        st.info("No factor of this bundle has a place here: all are dead.", icon=":material/info:")
        return
    lit = map_lit.lit_up(bundle)
    # Of all dots, so that a filter moves nothing.
    seen = _seen(bundle, frame) if places == "near" else None
    frame = _filtered(frame)
    frame["faint"] = False if lit is None else ~frame["factor"].isin(lit.factors)
    over = map_charts.Over(
        url_state.value_of(controls.MAP_AREA),
        rules,
        map_arrows.of_selected(bundle, frame, places == "levels" and not steps),
        _names(bundle, seen),
        None if lit is None else frame.loc[~frame["faint"], ["x", "y"]],
    )
    _draw_chart(frame, places, steps, seen, over)
    if seen:
        map_view.buttons(seen.start)
        if not bundle.abilities.regions:
            st.caption(bundle.abilities.regions.why_not)
    map_arrows.say(bundle, over.arrows)
    _draw_list(bundle, frame, lit)


def _filtered(dots: pd.DataFrame) -> pd.DataFrame:
    """Return a copy of the dots of the level and of the peak layer that the reader chose."""
    if level := url_state.value_of(controls.SEARCH_LEVEL):
        dots = dots[dots["level"] == level]
    if (peak := url_state.value_of(controls.SEARCH_PEAK)) != controls.PEAK:
        dots = dots[dots["peak"] == peak]
    return dots.copy()


def _seen(bundle: Bundle, dots: pd.DataFrame) -> map_charts.Seen:
    """Return what is seen: what the link says, else the region that was chosen, else the whole."""
    whole = map_view.whole_of(dots)
    view = url_state.value_of(controls.MAP_VIEW)
    if view is None and (region := url_state.value_of(controls.MAP_REGION)):
        members = dots[dots["factor"].isin(map_lit.members_of(bundle, region))]
        view = map_view.around(members, whole)
    if view is None or not (view[0] < view[1] and view[2] < view[3]):
        view = whole
    return map_charts.Seen(whole, map_view.rounded(view))


def _names(bundle: Bundle, seen: map_charts.Seen | None) -> pd.DataFrame | None:
    """Return the names of the regions, or None where there are none."""
    if seen is None or not bundle.abilities.regions:
        return None
    names = map_names.placed_names(bundle.regions, seen.whole, *_WIDE)
    narrow = map_names.placed_names(bundle.regions, seen.whole, *_NARROW)
    return names.assign(start_narrow=narrow["start"], whole=seen.whole[1] - seen.whole[0]).drop(
        columns="region"
    )


def _dots(bundle: Bundle, limits: Thresholds | OlderThresholds) -> pd.DataFrame:
    """Return factor, name, words, x, y, level, peak, density, curve and drawn of the living."""
    factors, overview = bundle.factors, store.overview(bundle)
    peak = overview.importance.argmax(axis=1)
    frame = pd.DataFrame(
        {
            "factor": factors["factor"].to_numpy(),
            "name": selection.factor_names(bundle)["name"].to_numpy(),
            "words": [", ".join(words[:_TIP_WORDS]) for words in factors["words"]],
            "x": factors["map_x"].to_numpy(float),
            "y": factors["map_y"].to_numpy(float),
            "level": level_rule.levels_in_force(factors, limits),
            "peak": factors["peak_layer"].to_numpy(),
            "density": overview.density[np.arange(len(factors)), peak],
            "curve": _curves(overview.share_of_peak),
        }
    )
    frame["drawn"] = frame["factor"] == url_state.value_of(controls.FACTOR)
    return frame[factors["alive"].to_numpy(bool)].copy()


def _curves(shares: np.ndarray) -> list[str]:
    """Return each factor's importance by layer as a row of blocks.

    >>> _curves(np.array([[0.0, 0.5, 1.0]]))
    ['▁▅█']
    """
    blocks = _BLOCKS[np.rint(shares * (len(_BLOCKS) - 1)).astype(int)]
    return ["".join(row) for row in blocks]


def _placed_by_level(
    frame: pd.DataFrame, bundle: Bundle, limits: Thresholds | OlderThresholds
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[float, ...]]:
    """Return the dots placed by what parts the levels, the thresholds as lines, and the depths.

    Only an older rule asks for depths, of which there are few.
    """
    rows = bundle.factors.iloc[frame["factor"]]
    if isinstance(limits, Thresholds):
        words, share = (rows[name].to_numpy(float) for name in ("effective_words", "window_share"))
        low, few = limits.low_words, limits.few_words_share
        lines = [(low, np.nanmax([*words, low]), limits.window_share)]
        if few is not None:
            lines.append((low, np.nanmin([*words, low]), few))
        rules = pd.DataFrame(lines, columns=["x", "end", "y"])
        return frame.assign(x=words, y=share), rules, ()
    depth = rows["depth"].to_numpy(float)
    steps = np.unique(depth)
    width = float(np.diff(steps).min()) if len(steps) > 1 else 0.2
    # There are only as many depths as layers: the dots are spread a little around each.
    spread = (frame["factor"].to_numpy() * 0.618034) % 1 - 0.5
    placed = frame.assign(
        x=depth + spread * 0.7 * width, y=rows[limits.sentence_column].to_numpy(float)
    )
    # The line between two layers stands half-way, so that dots spread around one do not cross it.
    edges = np.concatenate([steps - width / 2, [steps[-1] + width / 2]])
    edge = float(edges[np.searchsorted(steps, limits.low_depth + 1e-9, side="right")])
    rules = pd.DataFrame({"x": [edge], "end": [edges[-1]], "y": [limits.sentence_share]})
    return placed, rules, tuple(steps.tolist())


def _draw_chart(
    frame: pd.DataFrame,
    places: str,
    steps: tuple[float, ...],
    seen: map_charts.Seen | None,
    over: map_charts.Over,
) -> None:
    colour = url_state.value_of(controls.MAP_COLOUR)
    key = _chart_key(f"map_{places}_{colour}")
    order, axes = "by their likeness", None
    if places == "levels":
        order, axes = (_BY_OLDER_LEVEL, _OLDER_AXES) if steps else (_BY_LEVEL, _AXES)
    if seen:
        seen = replace(seen, start=_start(key, seen))
    event: Any = map_charts.dots(
        frame,
        colour,
        axes,
        seen,
        steps,
        over,
        key=key,
        alt=f"{len(frame):,} living factors {order}; the table lists them.",
    )
    if point := chart_clicks.clicked_point(event, key):
        shell.open_page(
            controls.FACTOR_PAGE,
            {controls.FACTOR: int(point["factor"]), controls.LAYER: controls.PEAK},
        )
    # The axis of words is logarithmic.
    drawn_frame = frame.assign(x=np.log(frame["x"])) if axes is _AXES else frame
    if len(frame) > map_charts.MOST_MARKS:
        st.download_button(
            "SVG",
            lambda: map_charts.map_svg(drawn_frame, colour),
            f"map_{places}.svg",
            "image/svg+xml",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
            help="The map as a picture. PNG is behind the button over the chart.",
        )
    view = chart_clicks.dragged_area(event, key, "view") if seen else None
    if view is not None and view != url_state.value_of(controls.MAP_VIEW):
        url_state.set_controls({controls.MAP_VIEW: view})
        st.session_state[_SHOWN] = _chart_shows()
    drawn = chart_clicks.dragged_area(event, key)
    if drawn is not None and drawn != url_state.value_of(controls.MAP_AREA):
        url_state.set_controls({controls.MAP_AREA: drawn})
        st.session_state[_SHOWN] = _chart_shows()
        st.rerun()


def _start(key: str, seen: map_charts.Seen) -> tuple[float, ...]:
    """Return what a chart showed when it was drawn: the wheel must not have it drawn anew."""
    chart = (key, seen.whole)
    if (kept := st.session_state.get(_STARTS)) is None or kept[0] != chart:
        kept = st.session_state[_STARTS] = (chart, seen.start)
    return kept[1]


def _chart_shows() -> tuple[object, ...]:
    """Return what the browser keeps of a chart: the area that was drawn, and what is seen."""
    return (
        url_state.value_of(controls.MAP_AREA),
        url_state.value_of(controls.MAP_VIEW),
        url_state.value_of(controls.MAP_REGION),
    )


def _chart_key(name: str) -> str:
    """Return the chart's key: another one when area or view came from elsewhere than the mouse.

    The browser keeps the rectangle that was drawn last, and the part of the map that it shows;
    after Back, a button or a link these would be wrong.
    """
    if (shows := _chart_shows()) != st.session_state.get(_SHOWN, (None, None, "")):
        st.session_state[_SHOWN] = shows
        st.session_state[_OUTSIDE_CHANGES] = st.session_state.get(_OUTSIDE_CHANGES, 0) + 1
    return f"{name}_{st.session_state.get(_OUTSIDE_CHANGES, 0)}"


def _draw_list(bundle: Bundle, frame: pd.DataFrame, lit: map_lit.Lit | None) -> None:
    area = url_state.value_of(controls.MAP_AREA)
    if area is not None:
        left, right, low, high = area
        inside = frame[frame["x"].between(left, right) & frame["y"].between(low, high)]
        where = "in this area"
    elif lit is not None:
        inside, where = frame[frame["factor"].isin(lit.factors)], lit.says
    else:
        st.caption(
            "Draw a rectangle with the mouse to list what is in it, or click a dot to open its "
            "factor. On a telephone, tap a dot."
        )
        return
    counts = inside["level"].value_counts()
    parts = ", ".join(f"{counts.get(level, 0):,} {level}" for level in controls.LEVELS)
    more = (
        f"; the first {_MOST_ROWS} are listed, the files hold all"
        if len(inside) > _MOST_ROWS
        else ""
    )
    st.markdown(
        f"**{len(inside):,}** factors {where} ({parts}), the most important first{more}. "
        "Click a row to open it."
    )
    if len(inside):
        members = inside["factor"].to_numpy()
        strength = store.overview(bundle).importance[members].max(axis=1)
        members = members[np.argsort(-strength, kind="stable")]
        listed = members[:_MOST_ROWS]
        factor_table.show(
            factor_table.factor_rows(bundle, listed),
            "inside",
            f"The {len(listed)} factors of the map that are listed.",
            whole=lambda: factor_table.factor_rows(bundle, members),
        )
