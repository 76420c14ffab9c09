// Many at once: escapes under renames, and a tree that eight processes work on.
#include "lib/fmt.h"
#include "tests/guest/fs_conformance/fs.h"

// A directory inside a confined one is moved out and in again while its handle climbs: what is outside is never reached.
KT_CHILD(moves) {
    kpio_handle dir = startup_handle("dir");
    while (!fs_exists(dir, "stop")) {
        if (kpio_path_rename(dir, "jail/a/b", dir, "b", 0) != 0) return __LINE__;
        if (kpio_path_rename(dir, "b", dir, "jail/a/b", 0) != 0) return __LINE__;
    }
    return 0;
}

KT_TEST(nobody_climbs_out_under_renames) {
    struct kpio_stat stat;
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "jail");
    fs_mkdir(dir, "jail/a");
    fs_mkdir(dir, "jail/a/b");
    fs_mkdir(dir, "jail/a/b/c");
    fs_write_text(dir, "secret", "x");
    const struct process_grant grant = {"dir", dir, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle jail = fs_open(dir, "jail", KPIO_OPEN_ROOT, KPIO_RIGHTS_SAME), inside = fs_opendir(jail, "a/b/c");
    uint64_t outer = fs_stat(dir, ".").inode, reached = 0, lost = 0;
    kpio_handle mover = kt_spawn("moves", &grant, 1);
    for (uint64_t end = time_after_ms(kt_long() ? 20000 : 1500); time_now() < end;) {
        KT_ERROR(kpio_path_stat(inside, "../../../secret", 0, &stat), ENOENT);
        KT_ERROR(kpio_path_stat(inside, "../../../../secret", 0, &stat), ENOENT);
        int64_t error = kpio_path_stat(inside, "../../..", 0, &stat);
        if (error == 0) {
            KT_CHECK(stat.inode != outer);
            reached++;
        } else {
            KT_EQUAL(error, -ENOENT);
            lost++;
        }
        error = kpio_path_stat(jail, "a/b/c/../../../../secret", 0, &stat);
        KT_CHECK(error == -ENOENT);
    }
    fs_write_text(dir, "stop", "");
    KT_EQUAL(kt_wait(mover), 0);
    kt_note("%lu climbs reached the top, %lu found themselves outside", (unsigned long)reached, (unsigned long)lost);
    kt_close(inside);
    kt_close(jail);
    fs_end();
}

// ---- directories made at once ------------------------------------------------------------------------------------------------

#define MAKERS 8
#define MADE 40u

// Each in a directory of its own, that no lock is shared but the volume's.
KT_CHILD(makes) {
    kpio_handle dir = startup_handle("dir");
    char own[16], path[32];
    unsigned mine = 0;
    for (int64_t error = -EEXIST; error == -EEXIST; mine++) {
        (void)fmt_print(own, sizeof own, "d/%u", mine);
        error = directory_make(dir, own);
        if (error != 0 && error != -EEXIST) return __LINE__;
    }
    while (!fs_exists(dir, "start")) time_sleep_ms(1);
    for (unsigned i = 0; i < MADE; i++) {
        (void)fmt_print(path, sizeof path, "%s/%u", own, i);
        if (directory_make(dir, path) != 0) return __LINE__;
        (void)fmt_print(path, sizeof path, "%s/%u/f", own, i);
        if (fs_exists(dir, path)) return __LINE__;
        int64_t file = file_open(dir, path, KPIO_OPEN_CREATE, RW);
        if (file < 0 || kpio_handle_close((uint64_t)file) != 0) return __LINE__;
    }
    return 0;
}

KT_TEST(directories_made_at_once) {
    struct kpio_stat stat;
    char path[32];
    kpio_handle dir = fs_begin(), makers[MAKERS];
    const struct process_grant grant = {"dir", dir, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    fs_mkdir(dir, "d");
    for (unsigned i = 0; i < MAKERS; i++) makers[i] = kt_spawn("makes", &grant, 1);
    for (unsigned i = 0; i < MAKERS; i++) {
        (void)fmt_print(path, sizeof path, "d/%u", i);
        while (!fs_exists(dir, path)) time_sleep_ms(1);
    }
    fs_write_text(dir, "start", "");
    for (unsigned i = 0; i < MAKERS; i++) {
        int64_t status = -1;
        KT_EQUAL(wait_terminated(makers[i], kt_soon(), &status), 0);
        kt_close(makers[i]);
        KT_EQUAL(status, 0);
    }
    for (unsigned i = 0; i < MAKERS * MADE; i++) {
        (void)fmt_print(path, sizeof path, "d/%u/%u/f", i / MADE, i % MADE);
        KT_OK(kpio_path_stat(dir, path, 0, &stat));
        KT_EQUAL(stat.links, 1);
    }
    fs_end();
}

// ---- eight processes, one tree ------------------------------------------------------------------------------------------------

#define WORKERS 8
#define FILES 12

static uint64_t random_state;
static uint64_t draw(uint64_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static bool expected(int64_t error) {
    return error >= 0 || error == -ENOENT || error == -EEXIST || error == -ENOTEMPTY || error == -EINVAL || error == -EISDIR ||
           error == -ENOTDIR || error == -ENOSPC || error == -EBUSY || error == -ELOOP || error == -EPERM;
}

static void name_one(char *path, size_t size) {
    static const char *const dirs[] = {"", "d0/", "d1/", "d0/d2/"};
    (void)fmt_print(path, size, "%s%c%lu", dirs[draw(4)], draw(5) == 0 ? 'd' : 'f', (unsigned long)draw(FILES));
}

static kpio_handle scratch;  // a VMO of one page

// A file's pages all begin with its own inode number: whoever finds another has seen lost or mixed content.
static int64_t work_on_file(kpio_handle dir, const char *path) {
    uint64_t mark[2], offset = draw(16) * 4096;
    int64_t opened = file_open(dir, path, draw(3) == 0 ? KPIO_OPEN_CREATE : 0, RW);
    if (opened < 0) return opened;
    kpio_handle file = (kpio_handle)opened;
    struct kpio_stat stat;
    int64_t error = kpio_path_stat(file, NULL, 0, &stat);
    if (error == 0 && (stat.mode & 0170000) == 0040000) error = -EISDIR;
    mark[0] = stat.inode, mark[1] = offset;
    switch (error == 0 ? draw(6) : 9) {
    case 0: case 1: error = kpio_file_write(file, (uint8_t *)mark, sizeof mark, (int64_t)offset, 0); break;
    case 2:
        error = kpio_file_read(file, (uint8_t *)mark, sizeof mark, (int64_t)offset);
        if (error == sizeof mark && mark[0] != 0 && (mark[0] != stat.inode || mark[1] != offset)) error = -EIO;
        break;
    case 3: error = kpio_file_resize(file, draw(16) * 4096); break;
    case 4: error = kpio_file_sync(file, draw(2) ? KPIO_SYNC_DATA : 0); break;
    case 5: {
        int64_t vmo = kpio_file_vmo(file, KPIO_RIGHT_READ);
        int64_t at = vmo > 0 ? kpio_aspace_map(startup_handle("aspace"), (kpio_handle)vmo, 0, 4096, KPIO_MAP_READ, 0) : vmo;
        // Beyond the end, which others move, there is nothing: read through calls, which say so.
        uint64_t seen = 0;
        if (at > 0 && kpio_file_write(file, (uint8_t *)at, 8, 0, 0) == 8 && kpio_vmo_write(scratch, 0, (uint8_t *)at, 8) == 8 &&
            (kpio_vmo_read(scratch, 0, (uint8_t *)&seen, 8) != 8 || (seen != stat.inode && seen != 0)))
            error = -EIO;
        if (at > 0) (void)kpio_aspace_unmap(startup_handle("aspace"), (uint64_t)at, 4096);
        if (vmo > 0) (void)kpio_handle_close((uint64_t)vmo);
        break;
    }
    default: break;
    }
    (void)kpio_handle_close((uint64_t)file);
    return error;
}

KT_CHILD(works) {
    kpio_handle dir = startup_handle("dir");
    char a[32], b[32];
    const char *seed = startup_page()->text;
    random_state = (uint64_t)kpio_clock_get(0) * 2654435761u + (uint64_t)seed + 1;
    int64_t vmo = kpio_vmo_create(4096, 0);
    if (vmo < 0) return __LINE__;
    scratch = (kpio_handle)vmo;
    const unsigned rounds = (startup_handle("long") > 0 ? 20000 : 1200) / (startup_handle("slow") > 0 ? 8 : 1);
    for (unsigned i = 0; i < rounds; i++) {
        int64_t error;
        name_one(a, sizeof a);
        name_one(b, sizeof b);
        switch (draw(12)) {
        case 0: error = kpio_path_rename(dir, a, dir, b, 0); break;
        case 1: error = kpio_path_rename(dir, a, dir, b, draw(2) ? KPIO_RENAME_NO_REPLACE : 0); break;
        case 2: error = kpio_path_unlink(dir, a, draw(3) == 0 ? KPIO_UNLINK_DIRECTORY : 0); break;
        case 3: error = draw(3) == 0 ? directory_make(dir, a) : 0; break;
        default: error = work_on_file(dir, a); break;
        }
        if (!expected(error)) {
            print("worker: %s %s: %s\n", a, b, error_name(error));
            return __LINE__;
        }
    }
    return 0;
}

// A driver hears of the last close of a file a little later: until then its name for it may be there.
static int64_t remove_directory(kpio_handle dir, const char *name) {
    const uint64_t until = kt_soon();
    int64_t error;
    while ((error = kpio_path_unlink(dir, name, KPIO_UNLINK_DIRECTORY)) == -ENOTEMPTY && !fs_hides_deleted() && time_now() < until)
        time_sleep_ms(2);
    return error;
}

// Everything can be named, is a file or directory with sane numbers, and can be removed.
static unsigned remove_all(kpio_handle dir) {
    unsigned removed = 0;
    for (bool again = true; again;) {
        struct directory_reader r;
        const struct kpio_directory_entry *entry;
        again = false;
        directory_rewind(&r, dir);
        while (KT_OK(directory_next(&r, &entry)) > 0) {
            if (entry->name[0] == '.') continue;
            struct kpio_stat stat = fs_stat(dir, entry->name);
            if (fs_lists_nodes()) KT_EQUAL(stat.inode, entry->inode);
            if (fs_lists_nodes()) KT_EQUAL(stat.mode >> 12, entry->type);
            if (stat.mode >> 12 == 4) {
                kpio_handle sub = fs_opendir(dir, entry->name);
                if (fs_count(sub) > 2) removed += remove_all(sub);
                kt_close(sub);
                KT_OK(remove_directory(dir, entry->name));
            } else {
                KT_EQUAL(stat.links, 1);
                KT_OK(kpio_path_unlink(dir, entry->name, 0));
            }
            removed++;
            again = true;
            break;
        }
    }
    return removed;
}

KT_TEST(eight_processes_on_one_tree) {
    kpio_handle dir = fs_begin(), workers[WORKERS];
    fs_mkdir(dir, "d0");
    fs_mkdir(dir, "d1");
    fs_mkdir(dir, "d0/d2");
    struct process_grant grants[3] = {{"dir", dir, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    unsigned count = 1;
    if (kt_long()) grants[count++] = (struct process_grant){"long", dir, 0, KPIO_SEND_COPY};
    if (fs_is_far()) grants[count++] = (struct process_grant){"slow", dir, 0, KPIO_SEND_COPY};
    for (unsigned i = 0; i < WORKERS; i++) workers[i] = kt_spawn("works", grants, count);
    for (unsigned i = 0; i < WORKERS; i++) {
        int64_t status = -1;
        KT_EQUAL(wait_terminated(workers[i], time_after_ms(kt_long() ? 10 * KT_HANG_MS : KT_HANG_MS), &status), 0);
        kt_close(workers[i]);
        KT_EQUAL(status, 0);
    }
    KT_OK(kpio_fs_sync(dir));
    kt_note("%u entries were left", remove_all(dir));
    KT_EQUAL(fs_count(dir), 2);
    fs_end();
}
