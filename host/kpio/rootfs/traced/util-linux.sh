lsblk; lscpu; lsipc; lslocks; lslogins; lsmem; lsns; findmnt; flock /tmp/l true; prlimit; taskset -p $$; taskset 1 true; ionice
chrt -p $$; renice 0 $$; setarch x86_64 true; setpriv -d; setsid true; mcookie; namei /etc/passwd; mountpoint /; fallocate -l 1M /tmp/f
fallocate -p -l 4096 /tmp/f
getopt a -- -a; rev /etc/passwd; hardlink /tmp; uclampset -p $$; unshare true; whereis ls; dmesg; last; utmpdump /dev/null
choom -p $$; ipcmk -M 100
ipcs; ipcrm -a; mesg; rename.ul x y /none; su -c true; runuser -u nobody true; blkid /tmp/f; wipefs /tmp/f; mkfs.minix /tmp/f
fsck.minix /tmp/f
mkswap /tmp/f; swaplabel /tmp/f; zramctl; rtcwake -m show; fsfreeze; blockdev --report; chmem; nsenter true; script
