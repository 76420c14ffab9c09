cd /tmp; for i in 1 2 3; do echo $i; done | while read x; do echo $x; done > out; cat < out; a=$(echo hi); test -x /bin/ls
(exit 3) || true; sleep 0.1 & wait; trap 'echo usr1' USR1; kill -USR1 $$; cat <(echo a); ulimit -n; umask; times
cd /; pwd -P; echo *
printf '#!/bin/bash -e\necho script\n' > /tmp/s; chmod +x /tmp/s; /tmp/s; set -m; sleep 9 & kill %1; wait; exec 5<> /tmp/s
read -t 0.1 x < /dev/zero; type ls; source /tmp/s; coproc cat; kill $COPROC_PID; ulimit -n 200; ls | cat; help > /dev/null
