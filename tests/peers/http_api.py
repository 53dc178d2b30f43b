"""The HTTP API as schemathesis has it: what /v1/openapi.json says of each operation is held against its answers.

    python http_api.py READY EXAMPLES

READY is a file with the line of `posthorn dev --json`; EXAMPLES, how many requests each operation gets
beside those that the document's own limits give. The same tree gives the same requests. Ends with the line `N passed,
N failed`, which counts operations; exits non-zero if anything failed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def run(ready, examples):
    here, report = Path(__file__).resolve().parent, Path("schemathesis.json")
    report.unlink(missing_ok=True)
    words = ["--config-file", here / "schemathesis.toml", "run", ready["http"] + "/v1/openapi.json"]
    words += ["--url", ready["http"], "--phases", "examples,coverage,fuzzing"]
    words += ["--generation-deterministic", "--max-examples", examples]
    # Neither a slow answer nor slow data is a finding: the machine may be busy with a build.
    words += ["--request-timeout", "60", "--suppress-health-check", "too_slow"]
    words += ["--continue-on-failure", "--no-color", "--report", "json", "--report-json-path", report]
    keys = {"TENANT_KEY": ready["admin_key"], "OPERATOR_KEY": ready["demo"]["operator_key"]}
    # No proxy of the environment between the two.
    environment = {**os.environ, **keys, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    ended = subprocess.run([sys.executable, "-m", "schemathesis.cli", *words], env=environment, check=False)
    return ended.returncode == 0, json.loads(report.read_text(encoding="utf-8"))


def verdict(ended_well, report):
    """Whether it is known that nothing is wrong, and the lines that say so."""
    cases, operations = report["test_cases"], report["operations"] or {"tested": 0}
    problems = [(failure["title"], failure["operations"]) for failure in report["failures"]]
    problems += [(error["title"], []) for error in report["errors"]]
    broken = {operation for failure in report["failures"] for operation in failure["operations"]}
    ok = ended_well and report["complete"] and not problems and operations["tested"] > 0
    failed = len(broken) + len(report["errors"])
    lines = [f"FAILED  {title}: {', '.join(where)}" for title, where in problems]
    lines.append(f"{cases['generated']} cases, {cases['with_failures']} of them failed")
    lines.append(f"{operations['tested'] - len(broken)} passed, {0 if ok else max(failed, 1)} failed")
    return ok, lines


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        good, words = verdict(*run(json.load(file), sys.argv[2]))
    print("\n".join(words))
    sys.exit(not good)
