#include "user/shell/input.h"

#include "lib/string.h"

#define END 4             // Ctrl-D
#define BACK_BYTES 4096u  // taken back from the pipe: more than line_give_back has room for, which then says so

int64_t input_begin(struct input *in) {
    memset(in, 0, sizeof *in);
    editor_begin(&in->editor);
    const int64_t end = kpio_pipe_create(KPIO_PIPE_STREAM, 0, &in->pipe);
    if (end < 0) return end;
    const int64_t back = kpio_handle_dup((kpio_handle)end, KPIO_RIGHTS_SAME);
    if (back > 0) in->back = (kpio_handle)back;
    else (void)kpio_handle_close((kpio_handle)end);
    return back < 0 ? back : end;
}

static void close(kpio_handle *handle) {
    if (*handle > 0) (void)kpio_handle_close(*handle);
    *handle = KPIO_HANDLE_NONE;
}

// Whether all of the last line is in the pipe, so that the next one may be typed. Before that keys wait, as in a terminal.
static bool pass_on(struct input *in) {
    while (in->sent < in->have) {
        const int64_t done = kpio_pipe_write(in->pipe, in->line + in->sent, in->have - in->sent, KPIO_PIPE_NOWAIT, 0);
        if (done == -EAGAIN) return false;
        if (done < 0) return close(&in->pipe), false;
        in->sent += (size_t)done;
    }
    return in->pipe != KPIO_HANDLE_NONE;
}

static void type(struct input *in, char c) {
    if (c == END && in->editor.used == 0) return close(&in->pipe);
    if (line_type(&in->editor, NULL, c) != EDITOR_LINE) return;
    memcpy(in->line, in->editor.text, in->editor.used);
    in->line[in->editor.used] = '\n';
    in->have = in->editor.used + 1;
    in->sent = 0;
    editor_begin(&in->editor);
}

bool input_step(struct input *in) {
    char c;
    if (line_interrupted()) {
        while (kpio_pipe_read(in->back, in->line, sizeof in->line, KPIO_PIPE_NOWAIT, 0) > 0) {}
        in->have = in->sent = 0;
        editor_begin(&in->editor);
        return false;
    }
    while (pass_on(in) && line_next(&c)) type(in, c);
    return true;
}

void input_end(struct input *in) {
    static char text[2 * LINE_MAX + BACK_BYTES];
    size_t used = 0;
    int64_t got;
    close(&in->pipe);
    while (in->back > 0 && used < BACK_BYTES && (got = kpio_pipe_read(in->back, text + used, BACK_BYTES - used, KPIO_PIPE_NOWAIT, 0)) > 0)
        used += (size_t)got;
    close(&in->back);
    memcpy(text + used, in->line + in->sent, in->have - in->sent);
    used += in->have - in->sent;
    memcpy(text + used, in->editor.text, in->editor.used);
    used += in->editor.used;
    if (!line_give_back(text, used)) print("what was typed and not read is dropped\n");
}
