#!/bin/sh
# Builds the interceptor that hands Libra's pools to Spark's own scheduler.
#
#   SPARK_HOME=/path/to/spark deploy/spark-plugin/build.sh libra-spark-pools.jar
#
# Needs a JDK 17 or later (javac and jar; of JAVA_HOME if that is set) and the jars of a Spark 4
# with Spark Connect. Writes the given file, and nothing else that stays.
set -eu

out="${1:?usage: SPARK_HOME=... $0 OUT.jar}"
: "${SPARK_HOME:?set SPARK_HOME to the Spark that the interceptor is for}"
sources="$(cd "$(dirname "$0")" && pwd)/src"
bin="${JAVA_HOME:+$JAVA_HOME/bin/}"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"${bin}javac" --release 17 -Xlint:all,-classfile,-path,-processing -Werror \
  -cp "$SPARK_HOME/jars/*" -d "$work/classes" \
  "$sources/org/libra/spark/PoolInterceptor.java"
"${bin}jar" --create --file "$work/out.jar" -C "$work/classes" .
# In one step: a build that is interrupted leaves no half of a jar.
mkdir -p "$(dirname "$out")"
mv "$work/out.jar" "$out.new.$$"
mv "$out.new.$$" "$out"
