"""The memory of a worker: `python -m tests.bench.pii_memory MEGABYTES RESULT` redacts that much text.

The text is that of installed packages again and again, each time with other words in it, so that whatever a detector
keeps of what it has read would grow.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.near_dups_peers import peak_mb
from tests.bench.pii_corpus import ordinary
from tests.pii_cases import redacted


def main(megabytes: float, result: Path) -> None:
    """Redact and write the peak of memory after the first tenth and in the end, in MB."""
    sources = ordinary(5)
    done, early, turn = 0.0, 0.0, 0
    while done < megabytes:
        for source in sources:
            content = source.content.replace(b"the ", f"the{turn} ".encode()).replace(b"self", f"self{turn}".encode())
            redacted(content, source.path)
            done += len(content) / 1e6
            early = early or (peak_mb() if done > megabytes / 10 else 0.0)
            if done >= megabytes:
                break
        turn += 1
    result.write_text(json.dumps({"megabytes": done, "early": early, "peak": peak_mb()}), encoding="utf-8")


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]))
