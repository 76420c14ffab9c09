// Every function of WASI preview 1 as it is imported, so that a test can hand over what a C library would not: any length, any pointer.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <wasi/api.h>

#define P1(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) int32_t p1_##name

typedef int32_t i32;
typedef int64_t i64;
P1(args_get)(void *list, void *text);
P1(args_sizes_get)(void *count, void *bytes);
P1(environ_get)(void *list, void *text);
P1(environ_sizes_get)(void *count, void *bytes);
P1(clock_res_get)(i32 clock, void *out);
P1(clock_time_get)(i32 clock, i64 precision, void *out);
P1(fd_advise)(i32 fd, i64 offset, i64 size, i32 advice);
P1(fd_allocate)(i32 fd, i64 offset, i64 size);
P1(fd_close)(i32 fd);
P1(fd_datasync)(i32 fd);
P1(fd_fdstat_get)(i32 fd, void *out);
P1(fd_fdstat_set_flags)(i32 fd, i32 flags);
P1(fd_fdstat_set_rights)(i32 fd, i64 rights, i64 inherited);
P1(fd_filestat_get)(i32 fd, void *out);
P1(fd_filestat_set_size)(i32 fd, i64 size);
P1(fd_filestat_set_times)(i32 fd, i64 accessed, i64 modified, i32 which);
P1(fd_pread)(i32 fd, const void *pieces, i32 count, i64 offset, void *out);
P1(fd_prestat_get)(i32 fd, void *out);
P1(fd_prestat_dir_name)(i32 fd, void *name, i32 size);
P1(fd_pwrite)(i32 fd, const void *pieces, i32 count, i64 offset, void *out);
P1(fd_read)(i32 fd, const void *pieces, i32 count, void *out);
P1(fd_readdir)(i32 fd, void *buffer, i32 size, i64 cookie, void *out);
P1(fd_renumber)(i32 fd, i32 to);
P1(fd_seek)(i32 fd, i64 offset, i32 whence, void *out);
P1(fd_sync)(i32 fd);
P1(fd_tell)(i32 fd, void *out);
P1(fd_write)(i32 fd, const void *pieces, i32 count, void *out);
P1(path_create_directory)(i32 fd, const char *path, i32 size);
P1(path_filestat_get)(i32 fd, i32 follow, const char *path, i32 size, void *out);
P1(path_filestat_set_times)(i32 fd, i32 follow, const char *path, i32 size, i64 accessed, i64 modified, i32 which);
P1(path_link)(i32 fd, i32 follow, const char *path, i32 size, i32 to, const char *name, i32 name_size);
P1(path_open)(i32 fd, i32 follow, const char *path, i32 size, i32 how, i64 rights, i64 inherited, i32 flags, void *out);
P1(path_readlink)(i32 fd, const char *path, i32 size, void *buffer, i32 room, void *out);
P1(path_remove_directory)(i32 fd, const char *path, i32 size);
P1(path_rename)(i32 fd, const char *path, i32 size, i32 to, const char *name, i32 name_size);
P1(path_symlink)(const char *text, i32 size, i32 fd, const char *name, i32 name_size);
P1(path_unlink_file)(i32 fd, const char *path, i32 size);
P1(poll_oneoff)(const void *subscriptions, void *events, i32 count, void *out);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"))) void p1_proc_exit(i32 status);
P1(proc_raise)(i32 signal);
P1(sched_yield)(void);
P1(random_get)(void *buffer, i32 size);
P1(sock_accept)(i32 fd, i32 flags, void *out);
P1(sock_recv)(i32 fd, const void *pieces, i32 count, i32 flags, void *out, void *out_flags);
P1(sock_send)(i32 fd, const void *pieces, i32 count, i32 flags, void *out);
P1(sock_shutdown)(i32 fd, i32 how);

#define BAD_FD 12345
#define BEYOND ((void *)0xffffff00u)  // behind the end of linear memory
#define ALL_RIGHTS ((i64)0x1fffffff)
#define READ_RIGHTS ((i64)(__WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_TELL | __WASI_RIGHTS_FD_FILESTAT_GET))

#define TEXT(path) path, (i32)strlen(path)
