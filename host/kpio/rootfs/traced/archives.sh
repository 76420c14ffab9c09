cd /tmp; tar czf a.tgz /etc; tar xzf a.tgz; tar cf b.tar --xattrs --acls etc; tar tf b.tar; gzip -k b.tar; zcat b.tar.gz | wc
zgrep x b.tar.gz
gunzip -f b.tar.gz; tar rf b.tar etc/passwd; tar xf b.tar -C /tmp --overwrite
