cd /tmp
python3 -c 'import asyncio, ctypes, mmap, multiprocessing as m, os, selectors, shutil, socket, sqlite3, ssl, subprocess, tempfile, threading
for t in [threading.Thread(target=print, args=(i,)) for i in range(5)]:
    t.start()
    t.join()
print(subprocess.run(["ls"], capture_output=True), asyncio.run(asyncio.sleep(0.1)))
m.set_start_method("fork")
p = m.Process(target=print)
p.start()
p.join()
q = m.Pool(2)
q.map(abs, [1, 2])
q.close()
q.join()
a, b = socket.socketpair()
a.send(b"x")
b.recv(1)
shutil.copyfile("/etc/passwd", "p")
os.fork() or os._exit(0)
os.wait()'
for module in threading signal subprocess mmap select sqlite3 socket tempfile shutil os posix fcntl epoll poll pty resource time \
    selectors; do
    timeout 200 python3 -m test -u none test_$module
done
