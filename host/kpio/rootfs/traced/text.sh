cd /etc; grep -r root .; sed s/a/b/ passwd; cp passwd /tmp/p; sed -i s/a/b/ /tmp/p; gawk '{ print | "sort" }' passwd
mawk '{ print }' passwd
find / -xdev -name '*.so' -newer passwd; find /etc -type f -exec ls {} +; find /tmp -delete; ls | xargs -P 3 -n 1 echo
diff passwd group; cmp passwd group
diff3 passwd group passwd; sdiff passwd group; diff -r /etc /usr
gawk 'BEGIN { "date" | getline d; print systime(), d; system("true") }'
