cd /tmp; mkdir -p d/e; cp /etc/passwd d/e; cp -a d d2; mv d/e/passwd d/p; ln d/p d/h; ln -s p d/l; stat d/l; ls -laR /etc; ls -Z d
dd if=/dev/zero of=z bs=4096 count=10 conv=fsync,sparse; truncate -s 1M z; cp --sparse=always z z2; cp --reflink=auto z z3; du -a; df
cat z z2 | wc; tail -n 3 z; tail -c 5 d/p; head -2 d/p; sort -R d/p; sort -u d/p --parallel=2; seq 100000 | sort -n -S 100k; shuf d/p
split d/p; sha1sum d/p; md5sum d/p; b2sum d/p; cksum d/p; od d/p; base64 d/p; chmod 600 d/p; chown 1:1 d/p; chgrp 2 d/p; csplit d/p 2
touch -d 2020-01-01 d/p; sync; sync -f d/p; sync -d d/p; mkfifo f; mknod n c 1 3; rm f n; timeout 0.2 sleep 3; nohup true; nice -n 5 true
env; id; groups; whoami; who; users; date; uname -a; hostid; nproc; uptime; tee t < d/p; tr a b < d/p; cut -c1-3 d/p; paste d/p d/p
join d/p d/p; comm d/p d/p; uniq d/p; fmt d/p; fold d/p; pr d/p; nl d/p; expand d/p; tac d/p; tsort /dev/null; ptx d/p; factor 12
expr 1 + 1; readlink -f d/l; realpath d/l; basename /a; dirname /a; mktemp; shred -u t; unlink d/h; install -D d/p q/r; rm -r d d2
pathchk x; printenv; stdbuf -o0 ls; chroot / true; link z y; rmdir q/x; test z -nt y; tty; logname; stty; numfmt 5; dircolors; pinky
yes | head -3; tail -f z & sleep 0.3; kill $!; chcon x z; runcon x; vdir; dir; mv z /dev/shm/z; mv /dev/shm/z .; cat - < /dev/null
basenc --base16 z; echo; false; sum z
