"""A compliance report as the JSON that the command prints."""

from typing import Any

from pipeline.compliance.types import ComplianceReport, Row, Rule


def document(report: ComplianceReport) -> dict[str, Any]:
    """The JSON of one file: by rule, then by field."""
    rules = dict.fromkeys(row.rule for row in report.rows)
    return {
        "file": report.file, "verdict": report.verdict, "readable": report.readable,
        "rules": {str(rule): _rule(report, rule) for rule in rules},
        "notes": list(report.notes), "checked_at": report.checked_at,
        "disclaimer": "What the file carries, by secondary sources; no legal advice.",
    }  # fmt: skip


def _rule(report: ComplianceReport, rule: Rule) -> dict[str, Any]:
    rows = [row for row in report.rows if row.rule is rule]
    return {
        "missing": [row.field for row in rows if row.required and row.finding.state != "found"],
        "fields": {row.field: _field(row) for row in rows},
    }


def _field(row: Row) -> dict[str, Any]:
    told = row.finding
    return {
        "state": str(told.state), "required": row.required, "asks": row.asks, "where": list(told.where),
        "value": told.value, "why": told.why, "remedy": row.remedy,
    }  # fmt: skip
