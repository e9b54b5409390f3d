"""Runs all cases and prints how many ran: `python -m tests.onnx_cases`."""

from __future__ import annotations

import sys
from collections import Counter

from tests.onnx_cases.cases import all_cases
from tests.onnx_cases.run import Outcome, outcome_of
from tests.onnx_cases.without import WITHOUT


def main() -> int:
    outcomes: list[Outcome] = []
    wrong = []
    for name in all_cases():
        try:
            outcomes.append(outcome_of(name))
        except AssertionError as error:
            wrong.append(str(error))
    ran = [o for o in outcomes if o.refusal is None]
    for op, count in sorted(Counter(op for o in ran for op in set(o.ops)).items()):
        print(f"{op:28}{count:5} cases")
    print("\nnot run:")
    for reason, count in Counter(str(o.refusal) for o in outcomes if o.refusal).most_common():
        print(f"{count:5}  {reason}{_because(reason)}")
    print(*wrong, sep="\n")
    print(
        f"{len(all_cases())} cases: {len(ran)} ran, {sum(o.compared for o in ran)} results compared,", end=" "
    )
    print(f"{len(outcomes) - len(ran)} not expressible, {len(wrong)} wrong")
    return bool(wrong)


def _because(reason: str) -> str:
    kind, _, name = reason.partition(": ")
    return f" ({WITHOUT[name]})" if kind == "op" and name in WITHOUT else ""


if __name__ == "__main__":
    sys.exit(main())
