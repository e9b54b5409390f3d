"""Run scripts one after the other in this process, as `python SCRIPT ARGUMENTS` would.

    symgraph run several.py '[["script.py", "argument"], ...]'

The last line is JSON: by the name of the script its output, or its traceback, and its seconds.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import sys
import tempfile
import time
import traceback
from pathlib import Path

from keras import backend as K

told = {}
for script, *arguments in json.loads(sys.argv[1]):
    K.clear_session()
    sys.argv = [script, *arguments]
    said, start, error = io.StringIO(), time.perf_counter(), ""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        try:
            with contextlib.redirect_stdout(said):
                runpy.run_path(script, run_name="__main__")
        except Exception:
            error = traceback.format_exc()
    told[Path(script).name] = [said.getvalue(), error, round(time.perf_counter() - start, 2)]
os.write(1, json.dumps(told).encode())
