"""Writes a wheel of pyspark with all that an installation is recognised by, most of it one jar of 6 MB.

    python3 wheel.py OUTPUT_FILE
"""

import random
import sys
import zipfile

files = {
    "pyspark/__init__.py": b"",
    "pyspark/version.py": b"__version__: str = '4.3.0'\n",
    "pyspark/bin/spark-submit": b"#!/bin/sh\n",
    "pyspark/jars/a.jar": random.Random(1).randbytes(6_000_000),
    "pyspark-4.3.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: pyspark\nVersion: 4.3.0\n",
    "pyspark-4.3.0.dist-info/WHEEL":
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n",
}
record = "".join(f"{name},,{len(content)}\n" for name, content in files.items())
files["pyspark-4.3.0.dist-info/RECORD"] = (record + "pyspark-4.3.0.dist-info/RECORD,,\n").encode()
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    for name, content in files.items():
        wheel.writestr(name, content)
