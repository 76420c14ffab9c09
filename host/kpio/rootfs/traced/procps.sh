ps auxww; ps -eLf; top -b -n 1; free; uptime; w; vmstat; pgrep bash; pidof bash; pmap $$; pwdx $$; slabtop -o
tload & sleep 0.3; kill $!
skill -n x; sysctl -a; watch -n 0.1 true & sleep 0.5; kill $!; pidwait none; pkill none; kill -l
