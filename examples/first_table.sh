#!/bin/sh
# The whole way, on a few small files that come with the project: annotations -> Labelme files -> episodes ->
# feature bank -> a table of accuracies. Run it from the project's folder; all it writes is in $1.
set -eu
out=${1:-flawshot-first-table}
data=tests/data/bracket
say() { echo; echo "\$ $*"; "$@"; }

# 1. Annotations become Labelme files, which labelme opens. (Yours are Labelme files already? Then begin at 2.)
say flawshot import mvtec-fs "$data" "$out/labelme" --overwrite

# 2. What is there, and is anything wrong with it?
say flawshot stats "$out/labelme"
say flawshot check "$out/labelme"

# 3. Support and query sets of 1, 3 and 5 shots, five seeds, no image on both sides.
say flawshot sample "$out/labelme" --out "$out/episodes" --overwrite

# 4. Features of each region. These come with the project and are 32 hand-made numbers a view, no CLIP.
say flawshot import mvrec-features "$data/features" "$out/bank" --annotations "$out/labelme" \
    --encoder "32 hand-made numbers" --overwrite

# 5. Classifiers over the episodes: accuracy per category, with intervals.
say flawshot evaluate "$out/bank" "$out/episodes" --classifiers matched-prototype,zip-adapter,knn \
    --json "$out/results.json" --overwrite
echo "All of it is in $out; labelme $out/labelme/bracket/testing/crack shows the annotations."
