name = survey
version = 1.0
mode = aot
directory = /out read write
environment = yes
memory = 16M
time = 60s
