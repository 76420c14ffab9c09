// Four processes at work on one file system, step by step as lib/test/power_script.h says. The host records what the disk is told
// (QEMU's blklogwrites), cuts the power at places of that, and looks at what is left: tests/system/test_power.py. By itself
// this suite checks that all of it works, and that what was written is read again.
//
// The disk is the first, an empty ext4, or what kpio.fs=TYPE says: kpio.steps=N for each process, kpio.seed=N.
#include "lib/test/power_script.h"

#include "lib/string.h"
#include "tests/guest/kt/kt.h"
#include "user/libkpio/file.h"

#define RW (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE)
static kpio_handle root;
static uint32_t data[POWER_SECTORS * POWER_SECTOR / 4], again[POWER_SECTORS * POWER_SECTOR / 4];

static const char *path_of(uint32_t path) {
    static char names[2][POWER_NAME_ROOM];
    static unsigned turn;
    return power_path_name(path, names[turn++ % 2]);
}

static int64_t change_file(const struct power_step *step) {
    uint64_t at = (uint64_t)step->first * POWER_SECTOR, size = (uint64_t)step->count * POWER_SECTOR;
    int64_t file = file_open(root, path_of(step->path), step->what == POWER_DO_CREATE ? KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE : 0, RW);
    int64_t result = 0;
    if (file < 0) return file;
    if (step->what == POWER_DO_WRITE) {
        for (uint32_t i = 0; i < step->count; i++)
            power_fill_sector(data + i * (POWER_SECTOR / 4), step->id, step->first + i, step->version);
        result = file_write_all((kpio_handle)file, data, size, at);
        if (result >= 0) result = file_read_all((kpio_handle)file, again, size, at);
        if (result >= 0 && memcmp(data, again, size) != 0) result = -EIO;
    }
    if (step->what == POWER_DO_RESIZE) result = kpio_file_resize((kpio_handle)file, at);
    if (step->what == POWER_DO_SYNC) result = kpio_file_sync((kpio_handle)file, 0);
    int64_t closed = kpio_handle_close((kpio_handle)file);
    return result < 0 ? result : closed;
}

static int64_t do_step(const struct power_step *step) {
    switch (step->what) {
    case POWER_DO_RENAME:
        return kpio_path_rename(root, path_of(step->path), root, path_of(step->to), 0);
    case POWER_DO_UNLINK:
        return kpio_path_unlink(root, path_of(step->path), 0);
    default:
        return change_file(step);
    }
}

static int64_t work(uint32_t process) {
    struct power_script script;
    uint64_t settings[2];
    root = startup_handle("root");
    if (file_load(root, "settings", settings, sizeof settings) != sizeof settings) return 1000;
    power_script_begin(&script, process, settings[1]);
    for (uint64_t i = 0; i < settings[0]; i++) {
        struct power_step step = power_next_step(&script);
        int64_t error = do_step(&step);
        if (error < 0) return -error;
    }
    return 0;
}
KT_CHILD(worker0) { return work(0); }
KT_CHILD(worker1) { return work(1); }
KT_CHILD(worker2) { return work(2); }
KT_CHILD(worker3) { return work(3); }

// Leaky: the volume is unmounted a little after its last handle is gone.
KT_TEST_FLAGS(four_processes_work_on_one_tree, KT_LEAKY) {
    static const char *const names[POWER_PROCESSES] = {"worker0", "worker1", "worker2", "worker3"};
    uint64_t settings[2] = {kt_setting("steps", 60), kt_setting("seed", 1)};
    kpio_handle disk = KT_HANDLE(kpio_disk_open(kt_system(), (const uint8_t *)"vda", 3)), workers[POWER_PROCESSES];
    const char *type = startup_setting("fs");
    root = KT_HANDLE(kpio_fs_mount(type != NULL ? type : "ext4", disk, 0, NULL));
    kt_close(disk);
    KT_OK(file_save(root, "settings", settings, sizeof settings));
    for (unsigned i = 0; i < 3; i++) KT_OK(directory_make(root, (char[]){'d', (char)('0' + i), 0}));
    struct process_grant grant = {"root", root, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    for (unsigned i = 0; i < POWER_PROCESSES; i++) workers[i] = kt_spawn(names[i], &grant, 1);
    for (unsigned i = 0; i < POWER_PROCESSES; i++) {
        int64_t status = -1;
        KT_EQUAL(wait_terminated(workers[i], kt_soon(), &status), 0);
        KT_EQUAL(status, 0);
        kt_close(workers[i]);
    }
    kt_close(root);
}
