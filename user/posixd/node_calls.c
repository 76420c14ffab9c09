// protocols/node.def, but for ioctl (node_ioctl.c).
#include "user/posixd/node_calls.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/node.h"

enum { SIGNAL_TTIN = 21, SIGNAL_TTOU = 22, CHARACTER = 0020000, DIRECTORY = 0040000 };
#define NUMBER(major, minor) ((uint64_t)(major) << 32 | (minor))
#define NONE UINT32_MAX

// ---- names ------------------------------------------------------------------------------------------------------------------

static const struct {
    const char *name;
    uint64_t number;
    uint32_t mode;
} nodes[] = {{"console", NUMBER(5, 1), 0620}, {"tty", NUMBER(5, 0), 0666}, {"ptmx", NUMBER(5, 2), 0666}};
enum { NODE_CONSOLE = 0, NODE_PTMX = 2 };

static uint32_t pty_of(const char *path) {
    uint32_t number = 0;
    if (strncmp(path, "pts/", 4) != 0 || path[4] == 0 || (path[4] == '0' && path[5] != 0)) return NONE;
    for (path += 4; *path != 0; path++) {
        if (*path < '0' || *path > '9' || number >= TTYS_MAX) return NONE;
        number = number * 10 + (uint32_t)(*path - '0');
    }
    return number + 1 < TTYS_MAX && state->ttys[number + 1].kind == TTY_PTY ? number + 1 : NONE;
}

static void describe_node(unsigned i, struct node_stat_reply *out) {
    *out = (struct node_stat_reply){.number = nodes[i].number, .inode = 64 + i, .mode = CHARACTER | nodes[i].mode};
    fmt_print(out->name, sizeof out->name, "%s", nodes[i].name);
}

static void describe(uint32_t tty, enum side side, struct node_stat_reply *out) {
    if (side == SIDE_MASTER) describe_node(NODE_PTMX, out);
    else if (tty == 0) describe_node(NODE_CONSOLE, out);
    else {
        *out = (struct node_stat_reply){.number = NUMBER(136, tty - 1), .inode = tty + 2, .mode = CHARACTER | 0620};
        fmt_print(out->name, sizeof out->name, "pts/%u", tty - 1);
    }
}

static int64_t do_stat(void *context, uint64_t badge, const struct node_stat_request *r, struct node_stat_reply *reply) {
    const struct open *o = open_of(badge);
    if (r->path[0] == 0) {
        if (o == NULL) return -EIO;
        describe(o->tty, o->side, reply);
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++) {
        if (strcmp(nodes[i].name, r->path) != 0) continue;
        describe_node(i, reply);
        return 0;
    }
    if (strcmp(r->path, "pts") == 0) {
        *reply = (struct node_stat_reply){.inode = 1, .mode = DIRECTORY | 0755, .name = "pts"};
        return 0;
    }
    if (pty_of(r->path) == NONE) return -ENOENT;
    describe(pty_of(r->path), SIDE_SLAVE, reply);
    return 0;
}

static int64_t do_list(void *context, uint64_t badge, const struct node_list_request *r, struct node_list_reply *reply) {
    uint32_t index = r->index;
    if (r->path[0] == 0 && index < ARRAY_SIZE(nodes)) {
        *reply = (struct node_list_reply){.inode = 64 + index, .mode = CHARACTER};
        memcpy(reply->name, nodes[index].name, strlen(nodes[index].name) + 1);
        return 0;
    }
    if (r->path[0] == 0) {
        *reply = (struct node_list_reply){.inode = 1, .mode = DIRECTORY, .name = "pts"};
        return index == ARRAY_SIZE(nodes) ? 0 : -ENOENT;
    }
    if (strcmp(r->path, "pts") != 0) return -ENOENT;
    for (unsigned i = 1; i < TTYS_MAX; i++) {
        if (state->ttys[i].kind != TTY_PTY || index-- > 0) continue;
        *reply = (struct node_list_reply){.inode = i + 2, .mode = CHARACTER};
        fmt_print(reply->name, sizeof reply->name, "%u", i - 1);
        return 0;
    }
    return -ENOENT;
}

// ---- opening ----------------------------------------------------------------------------------------------------------------

static uint32_t terminal_of(const struct process *p) {
    for (unsigned i = 0; p != NULL && i < TTYS_MAX; i++)
        if (state->ttys[i].kind != TTY_NONE && state->ttys[i].session == p->session) return i;
    return NONE;
}

static uint32_t make_pty(void) {
    for (unsigned i = 1; i < TTYS_MAX; i++) {
        if (state->ttys[i].kind != TTY_NONE) continue;
        struct tty *tty = tty_change(&state->ttys[i]);
        tty_init(tty, TTY_PTY);
        tty->locked = 1;
        return i;
    }
    return NONE;
}

// The first terminal that a leader without one opens becomes its session's.
static void take_terminal(const struct process *p, uint32_t number, uint32_t flags) {
    const struct tty *tty = &state->ttys[number];
    if (p == NULL || flags & NODE_NO_CONTROL || p->session != p->pid || tty->session != 0 || terminal_of(p) != NONE) return;
    struct tty *own = tty_change(tty);
    own->session = p->session;
    own->group = p->group;
}

// Until the caller has the reply: it may be made once more (answers.c). Nobody has seen an open that fails here.
static int64_t keep_reply(const struct node_open_reply *reply) {
    struct kpio_handle_info info;
    int64_t error = kpio_handle_info(reply->endpoint, &info);
    const struct open *o = error == 0 ? open_of(info.badge) : NULL;
    if (o != NULL) error = keep_audience(o, reply->event);
    if (error < 0 && o != NULL) open_gone(o);
    return error;
}

static int64_t do_open(void *context, uint64_t badge, const struct node_open_request *r, struct node_open_reply *reply) {
    const struct process *p = process_find(r->pid);
    uint32_t tty = pty_of(r->path);
    enum side side = SIDE_SLAVE;
    if (strcmp(r->path, "console") == 0) tty = 0;
    else if (strcmp(r->path, "tty") == 0) {
        tty = terminal_of(p);
        if (tty == NONE) return -ENXIO;
    } else if (strcmp(r->path, "ptmx") == 0) {
        tty = make_pty();
        side = SIDE_MASTER;
        if (tty == NONE) return -ENOSPC;
    }
    if (tty == NONE) return -ENOENT;
    if (state->ttys[tty].kind == TTY_NONE) return -ENXIO;
    if (side == SIDE_SLAVE && (state->ttys[tty].locked || (tty != 0 && state->ttys[tty].masters == 0))) return -EIO;
    int64_t error = open_make(tty, side, &reply->event, &reply->endpoint);
    if (error < 0) return error;
    reply_closes(reply->event);
    reply_closes(reply->endpoint);
    if (side == SIDE_SLAVE) take_terminal(p, tty, r->flags);
    return r->tid != 0 ? keep_reply(reply) : 0;
}

// ---- reading and writing ------------------------------------------------------------------------------------------------------

int64_t may_use(const struct tty *tty, uint32_t pid, uint32_t flags, uint32_t number) {
    const struct process *p = process_find(pid);
    if (p == NULL || tty->session == 0 || tty->session != p->session || tty->group == 0 || p->group == tty->group) return 0;
    const bool unwilling = flags & (number == SIGNAL_TTIN ? NODE_NO_TTIN : NODE_NO_TTOU);
    if (unwilling) return number == SIGNAL_TTIN ? -EIO : 0;
    if (group_is_orphaned(p->group, p->session)) return -EIO;
    signal_group_by_kernel(p->group, number);
    return -NODE_RESTART;
}

static int64_t read_master(struct tty *tty, uint8_t *to, uint32_t size) {
    if (tty->out_head == tty->out_tail && size > 0) return tty->slaves == 0 && tty->slave_was_open ? -EIO : -EAGAIN;
    return tty_fetch(tty, to, size);
}

static int64_t do_read(void *context, uint64_t badge, const struct node_read_request *r, struct node_read_reply *reply) {
    const struct open *o = open_of(badge);
    const uint32_t size = MIN(r->size, NODE_DATA_MAX);
    if (o == NULL) return -EIO;
    struct tty *tty = tty_change(&state->ttys[o->tty]);
    if (open_is_hung(o)) reply->result = 0;
    else if (o->side == SIDE_MASTER) {
        reply->result = read_master(tty, reply->data, size);
        if (reply->result > 0 && tty->out_head != tty->out_tail) reply->timeout = NODE_MORE;
    } else {
        reply->result = may_use(tty, r->pid, r->flags, SIGNAL_TTIN);
        if (reply->result == 0) reply->result = tty_read(tty, reply->data, size, r->flags, &reply->timeout);
    }
    reply->data_size = reply->result > 0 ? (uint32_t)reply->result : 0;
    return 0;
}

static int64_t do_write(void *context, uint64_t badge, const struct node_write_request *r, struct node_write_reply *reply) {
    const struct open *o = open_of(badge);
    if (o == NULL) return -EIO;
    struct tty *tty = tty_change(&state->ttys[o->tty]);
    if (open_is_hung(o)) reply->result = -EIO;
    else if (o->side == SIDE_MASTER) reply->result = tty_input(tty, r->data, r->data_size);
    else {
        reply->result = tty->t.lflag & L_TOSTOP ? may_use(tty, r->pid, r->flags, SIGNAL_TTOU) : 0;
        if (reply->result == 0) reply->result = tty_write(tty, r->data, r->data_size);
    }
    if (reply->result == 0 && r->data_size > 0) reply->result = -EAGAIN;
    return 0;
}

uint64_t node_serve(uint64_t header, uint64_t badge) {
    static const struct node_server server = {
        .open = do_open, .read = do_read, .write = do_write, .ioctl = node_ioctl_serve, .stat = do_stat, .list = do_list,
    };
    return node_dispatch(&server, NULL, header, badge);
}
