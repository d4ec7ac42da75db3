"""Panels of a Grafana dashboard, described in a line or two each, and the JSON that Grafana reads.

In queries ``@`` stands for the master that is chosen at the top of a dashboard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

SCHEMA_VERSION = 39
"""Of Grafana 10.3 and newer; Grafana migrates older dashboards by itself, never newer ones."""

COLUMNS = 24
"""Width of a dashboard in Grafana's grid."""

TAG = "gradcode"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED = "green", "yellow", "red"
_MOST_COLUMNS = 150
"""Of a map; Grafana draws no status history with more columns than fit."""
_UNCHOSEN = {"selected": False, "text": "", "value": ""}


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel; ``legend`` names its series, with labels in double braces."""

    expr: str
    legend: str = ""

    def target(self, number: int, panel: Panel) -> dict[str, Any]:
        """As Grafana wants it."""
        return {
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": self.expr.replace("@", 'instance=~"$master"'),
            "format": "heatmap" if panel.kind == "heatmap" else "time_series",
            "instant": panel.instant,
            "legendFormat": self.legend or "__auto",
            "range": not panel.instant,
            "refId": chr(ord("A") + number),
        }


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title, description: for people; the description says how to read it.
        queries: in the order of the legend.
        kind: Grafana's name of the visualisation. unit: Grafana's name of the unit.
        width: of 24 columns. height: in Grafana's rows.
        stacked: areas on top of each other. log: a logarithmic axis.
        limits: (value, colour) from which on values have that colour, the first one from the lowest.
        lines: series drawn as a dashed line, by their legend.
        least, most: ends of the axis or scale; None as the data say.
    """

    title: str
    description: str
    queries: Sequence[Query]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8
    stacked: bool = False
    log: bool = False
    limits: Sequence[tuple[float, str]] = ()
    lines: Sequence[str] = ()
    least: float | None = None
    most: float | None = None

    @property
    def instant(self) -> bool:
        """Whether only the newest values are shown."""
        return self.kind in ("stat", "bargauge")

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """As Grafana wants it, at a place of the grid."""
        return {
            "id": number,
            "title": self.title,
            "description": self.description,
            "type": self.kind,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {
                "defaults": self._defaults(),
                "overrides": [_dashed(name) for name in self.lines],
            },
            "maxDataPoints": _MOST_COLUMNS if self.kind in ("heatmap", "status-history") else None,
            "options": _OPTIONS[self.kind],
            "targets": [query.target(place, self) for place, query in enumerate(self.queries)],
        }

    def _defaults(self) -> dict[str, Any]:
        first, *others = self.limits or [(0.0, GREEN)]
        steps = [{"color": first[1], "value": None}, *({"color": c, "value": v} for v, c in others)]
        shown: dict[str, Any] = {
            "unit": self.unit,
            "color": self._color(),
            "thresholds": {"mode": "absolute", "steps": steps},
            "mappings": [],
            "custom": self._custom(),
        }
        ends = {"min": self.least, "max": self.most}
        return shown | {name: value for name, value in ends.items() if value is not None}

    def _color(self) -> dict[str, str]:
        if self.kind == "status-history":
            return {"mode": "continuous-GrYlRd"}
        return {"mode": "thresholds" if self.limits else "palette-classic"}

    def _custom(self) -> dict[str, Any]:
        if self.kind == "status-history":
            return {"fillOpacity": 90, "lineWidth": 0}
        if self.kind != "timeseries":
            return {}
        return {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 40 if self.stacked else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
            "scaleDistribution": {"type": "log", "log": 10} if self.log else {"type": "linear"},
        }


_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_REDUCE = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {
        "reduceOptions": _REDUCE,
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    },
    "bargauge": {
        "reduceOptions": _REDUCE,
        "displayMode": "gradient",
        "orientation": "horizontal",
        "showUnfilled": True,
        "valueMode": "color",
    },
    "status-history": {
        "legend": {**_LEGEND, "showLegend": False},
        "rowHeight": 0.95,
        "colWidth": 1,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "short"},
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
        },
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "le"},
        "tooltip": {"show": True, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "unit": "s"},
    },
}
"""Kind of panel -> its options; a kind that is not here is not used."""


def _dashed(name: str) -> dict[str, Any]:
    style = {"fill": "dash", "dash": [8, 6]}
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [
            {"id": "custom.lineStyle", "value": style},
            {"id": "custom.fillOpacity", "value": 0},
            {"id": "color", "value": {"mode": "fixed", "fixedColor": RED}},
        ],
    }


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a title, from left to right, as many beside each other as fit."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard; ``uid`` is its fixed name in addresses."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row] = field(default_factory=tuple)

    def json(self) -> dict[str, Any]:
        """As Grafana wants it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "5s",
            "time": {"from": "now-15m", "to": "now"},
            "timepicker": {},
            "timezone": "browser",
            "annotations": {"list": []},
            "links": [_links()],
            "templating": {"list": [_datasource(), _master()]},
            "panels": list(_laid_out(self.rows)),
        }


def _laid_out(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Rows below each other, panels side by side."""
    number, y = 0, 0
    for row in rows:
        number += 1
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        yield {
            "id": number,
            "title": row.title,
            "type": "row",
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        y += 1
        x, tallest = 0, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            number += 1
            yield panel.json(number, x, y)
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


def _links() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "gradcode",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {"selected": False, "text": "Prometheus", "value": "prometheus"},
        "hide": 0,
    }


def _master() -> dict[str, Any]:
    asked = "label_values(gradcode_build_info, instance)"
    return {
        "name": "master",
        "label": "master",
        "type": "query",
        "datasource": DATASOURCE,
        "definition": asked,
        "query": {"query": asked, "refId": "masters"},
        "current": _UNCHOSEN,
        "refresh": 2,
        "sort": 1,
        "multi": False,
        "includeAll": False,
        "hide": 0,
    }
