"""Which run an export is of."""

from __future__ import annotations

from typing import Any

from auditor.store import Run


def identity(run: Run) -> dict[str, Any]:
    """JSON-ready: `key`, `name`, `schema_version`, `created`, `counts`, `verdict`, `identity`.

    All but key and name are as `run.json` has them; `identity` holds the hashes.
    """
    info = run.info
    return {
        "key": run.key,
        "name": run.path.resolve().name,
        "schema_version": info["schema_version"],
        "created": info["provenance"].get("created"),
        "counts": info["counts"],
        "verdict": info["verdict"],
        "identity": info["identity"],
    }
