// What is typed, as the input of something that runs: by lines, edited as the monitor's own, until Ctrl-D at the beginning of one.
#pragma once
#include "user/libkpio/kpio.h"
#include "user/shell/line.h"

struct input {
    struct editor editor;
    kpio_handle pipe;        // the writing end; NONE after the end of the input
    kpio_handle back;        // a reading end: what nobody took is typed for the monitor
    char line[LINE_MAX];     // ended by a newline
    size_t have, sent;       // of it: bytes, and how many are in the pipe
};

// The reading end is for who runs: negative errno, or its handle, which is the caller's.
[[nodiscard]] int64_t input_begin(struct input *in);
// Takes what was typed and what there is room for, without waiting. False: Ctrl-C was typed, and what came before it is dropped.
[[nodiscard]] bool input_step(struct input *in);
void input_end(struct input *in);
