#!/bin/sh
# Mutation testing of the reference with Stryker's command runner:
#
#     sh impl-ref/mutation/run.sh                              everything: the better part of an hour
#     sh impl-ref/mutation/run.sh 'impl-ref/rules/*.ts'        one shard
#
# It works on a copy in a temporary folder, at the lowest priority. Stryker is fetched by npx and is no dependency of the package.
# The report is written to $LRD_MUTATION_REPORT, by default mutation-report.json in the temporary folder.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch/copy"' EXIT
mkdir "$scratch/copy"
cp -r "$root/spec" "$root/impl-ref" "$root/package.json" "$scratch/copy/"
mkdir "$scratch/copy/conformance"
cp -r "$root/conformance/harness" "$scratch/copy/conformance/"
ln -s "$root/node_modules" "$scratch/copy/node_modules"
cd "$scratch/copy"
status=0
nice -n 19 npx -y @stryker-mutator/core@9.6.1 run impl-ref/mutation/stryker.config.json ${1:+--mutate "$1"} || status=$?
report=${LRD_MUTATION_REPORT:-$scratch/mutation-report.json}
cp report.json "$report" || exit 1
echo "report: $report"
exit $status
