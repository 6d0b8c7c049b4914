"""What a catalogue lacks: `python -m benchmarks.untranslated --language ja`, as JSON.

Prints English template to "", ready for a translator; on the error stream, what the catalogue has
and nothing says any more. `--places` prints where each is said instead.
"""

from __future__ import annotations

import argparse
import json
import sys

from auditor.language import LANGUAGES
from auditor.language.catalogue import catalogue
from tests.phrases import templates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--language", choices=LANGUAGES[1:], default=LANGUAGES[1])
    parser.add_argument("--places", action="store_true", help="print where each is said")
    arguments = parser.parse_args()
    said, known = templates(), catalogue(arguments.language)
    lacking = {
        template: place if arguments.places else ""
        for template, place in said.items()
        if not known.get(template)
    }
    print(json.dumps(lacking, indent=1, ensure_ascii=False))
    for template in known:
        if template not in said:
            print(f"not said any more: {template!r}", file=sys.stderr)


if __name__ == "__main__":
    main()
