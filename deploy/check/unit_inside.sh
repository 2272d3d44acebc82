#!/usr/bin/env bash
# Runs inside the system that unit.sh boots: tries the unit of Libra out, writes what it saw to
# /root/first, at the next boot to /root/second, and ends with the line "done" if all was as it should be.
set -euo pipefail
boot=first
if [[ -f /root/first ]]; then boot=second; fi
exec >"/root/$boot" 2>&1

fail() {
  echo "FAILED: $*"
  systemctl status --no-pager --lines=30 libra || true
  exit 1
}
property() { systemctl show --property="$1" --value libra; }
# until SECONDS WHAT COMMAND...: waits for the command to succeed.
until_ok() {
  local limit=$(($(date +%s) + $1)) what="$2"
  shift 2
  until "$@" >/dev/null 2>&1; do
    (($(date +%s) < limit)) || fail "$what"
    sleep 0.1
  done
}
new_pid() { [[ "$(property MainPID)" != 0 && "$(property MainPID)" != "$1" ]]; }
ready() { libra health; }
failed() { [[ "$(property ActiveState)" == failed ]]; }
statements=http://127.0.0.1:8080/api/v1/statements

until_ok 60 "it is ready" ready
echo "ready; systemd: $(property ActiveState), $(property SubState)"

if [[ $boot == second ]]; then
  curl -sf "$statements/job-1" | grep -q '"state":"queued"' || fail "the statement of the first boot is gone"
  echo "the statement of the first boot is there"
  echo "done"
  exit
fi

[[ "$(property StateDirectory)" == libra ]] || fail "no StateDirectory"
[[ -d /var/lib/private/libra/raft && -d /var/lib/private/libra/results ]] || fail "its data is elsewhere"
owner="$(stat -c %U:%a /var/lib/private/libra)"
process="$(stat -c %u "/proc/$(property MainPID)")"
[[ $process != 0 && "$(stat -c %u /var/lib/private/libra)" == "$process" ]] || fail "not its own user"
echo "runs as uid $process, data in /var/lib/private/libra, $owner"
curl -sf -H 'Content-Type: application/json' -d '{"code": "SELECT 1"}' \
  "http://127.0.0.1:8080/api/v1/sessions/default/statements?wait=0" >/dev/null || fail "no statement taken"

# Six in a row: systemd would give up after five.
for _ in 1 2 3 4 5 6; do
  pid="$(property MainPID)"
  kill -9 "$pid"
  until_ok 30 "it is started again" new_pid "$pid"
done
until_ok 60 "it is ready after the kills" ready
curl -sf "$statements/job-1" | grep -q '"state":"queued"' || fail "the statement is gone"
echo "killed with -9 six times, started again $(property NRestarts) times; its statement is there"

echo LIBRA_SESSION_MODE=BOTH >/etc/libra/environment
systemctl restart libra || true
until_ok 30 "a wrong configuration fails" failed
sleep 3
[[ "$(property ActiveState)/$(property ExecMainStatus)" == failed/2 ]] || fail "it is started with a wrong configuration"
journalctl --no-pager -u libra | grep -q 'libra.session.mode' || fail "nobody says what is wrong"
echo "a wrong configuration is told, and not tried again"

: >/etc/libra/environment
systemctl reset-failed libra
systemctl start libra
until_ok 60 "it is ready with a right one" ready
began=$(date +%s%N)
systemctl stop libra
took=$((($(date +%s%N) - began) / 1000000))
[[ "$(property Result)/$(property ExecMainStatus)" == success/0 ]] || fail "stopped: $(property Result)"
journalctl --no-pager -u libra -n 5 | grep -q ' stopped' || fail "it did not stop in order"
((took < 30000)) || fail "it took $took ms to stop"
echo "stopped in order within $took ms"
systemctl start libra
until_ok 60 "it is ready once more" ready
echo "done"
