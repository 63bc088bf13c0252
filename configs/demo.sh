#!/bin/sh
# `make demo`: the sample workspace at work, each command as you would type it.
# Works in ./demo, a fresh copy of this folder, and leaves it there to play with.
set -eu

cd "$(dirname "$0")/.."
rm -rf demo
cp -R configs demo
cd demo
rm -rf out .exportkit

# One of the jobs goes to Constant Contact: a sandbox on this machine stands in for it.
exportkit constant-contact sandbox --quiet --port 0 --env sandbox.env >sandbox.log 2>&1 &
sandbox=$!
trap 'kill $sandbox 2>/dev/null || true' EXIT
until [ -s sandbox.env ]; do kill -0 $sandbox; sleep 0.1; done
. ./sandbox.env
sed -i.bak "s|http://127.0.0.1:8765|$SANDBOX_URL|" connections/sandbox.yaml

if [ -t 1 ]; then bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
else bold='' dim='' plain=''; fi
say() { printf '\n%s# %s%s\n' "$dim" "$1" "$plain"; }
show() { printf '%s$ %s%s\n' "$bold" "$1" "$plain"; eval "$1"; }
show_failing() { ! show "$1"; }

say "A workspace is a folder of small YAML files. Are they right? Nothing is sent, nobody is asked."
show "exportkit validate"

say "A source names its segments, each a line of SQL. Who is in them?"
show "exportkit segments customers"

say "What would the job do? A plan reads everything and sends nothing."
show "exportkit plan vip-newsletter"

say "Do it. The file appears at once and whole, or not at all."
show "exportkit run vip-newsletter"
show "head -n 6 out/vip-newsletter.csv"

say "Who was left out, and why? Addresses stay masked until you ask for them."
show "exportkit rejections vip-newsletter"

say "Somebody mends an address in the source. One more goes out, one fewer is rejected:"
show "cp out/vip-newsletter.csv before.csv"
show "sed -i.bak 's/nadia\.\.rossi@/nadia.rossi@/' data/profiles.csv"
show "exportkit run vip-newsletter"
show_failing "diff before.csv out/vip-newsletter.csv"

say "And a slip of the hand in a job is found before anything runs:"
show "sed -i.bak 's/column: first_name/column: frist_name/' jobs/vip-newsletter.yaml"
show_failing "exportkit validate"
mv jobs/vip-newsletter.yaml.bak jobs/vip-newsletter.yaml

say "The same people as a list in Constant Contact, or rather in a sandbox of it on this machine:"
show "exportkit run newsletter-sandbox"

say "Two people move. A plan says so, and only they are sent:"
show "sed -i.bak 's/Galway/Cork/' data/profiles.csv"
show "exportkit plan newsletter-sandbox"
show "exportkit run newsletter-sandbox"

say "The workspace is in ./demo: change something, and run it again. There are two more jobs."
