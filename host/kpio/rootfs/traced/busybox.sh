# Each applet, if only with an input that it does not want; not those that change the machine or wait for a person.
cd /tmp
machine=" reboot halt poweroff init linuxrc kill killall killall5 sulogin mount umount swapon swapoff mkswap fdflush modprobe
    insmod rmmod losetup switch_root pivot_root hwclock date hostname httpd udhcpc udhcpc6 udhcpd telnet telnetd ping ping6
    nc wget ftpget ftpput ftpd tftp tftpd sysctl ip ipcalc ipaddr iplink ipneigh iproute iprule iptunnel ifconfig ifup
    ifdown route vconfig tunctl brctl nbd-client rdate ntpd traceroute traceroute6 arp arping watchdog loadkmap setkeycodes
    openvt deallocvt chvt getty login su acpid syslogd klogd rdev devmem eject fsfreeze fstrim freeramdisk mdev uevent vlock
    fbset ubirename blkdiscard "
person=" vi less more top watch sh ash hush yes dnsd "
for applet in $(busybox --list); do
    case $machine$person in *[\ $'\n']$applet[\ $'\n']*) continue ;; esac
    echo a | busybox timeout 2 busybox $applet > /dev/null 2>&1
done
busybox sh -c 'echo $((1 + 1)); ls | sort; sleep 0.1 & wait
cat << E
x
E'
busybox ls -la /; busybox cp /etc/passwd p; busybox sed -i s/a/b/ p; busybox find /etc -name passwd; busybox wc p; busybox stat p
busybox tar c /etc | busybox gzip | busybox tar tz; busybox dd if=/dev/zero of=z count=5; busybox ps; busybox touch p; busybox rm p
busybox mktemp; busybox df; busybox du
