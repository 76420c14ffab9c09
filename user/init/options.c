#include "user/init/options.h"

#include "lib/string.h"

#define PREFIX "kpio."
#define WORD_MAX 256u

typedef void complain_fn(void *context, const char *word, const char *what);

static const char *mode_set(struct options *options, const char *value) {
    static const struct {
        const char *name;
        enum option_mode mode;
    } modes[] = {{"demo", MODE_DEMO}, {"shell", MODE_SHELL}, {"idle", MODE_IDLE}, {"linux", MODE_LINUX}, {"run", MODE_RUN}};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(value, modes[i].name) == 0) {
            options->mode = modes[i].mode;
            return NULL;
        }
    }
    return "unknown mode: demo, shell, idle, linux or run";
}

static const char *suite_set(struct options *options, const char *value, enum option_mode mode) {
    size_t length = strlen(value);
    if (length == 0 || length >= OPTION_TEXT_MAX) return "the name of a suite is missing or too long";
    if (strchr(value, '/') != NULL) return "the name of a suite has no slash";
    memcpy(options->suite, value, length + 1);
    options->mode = mode;
    return NULL;
}

static int digit_of(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

// In place; false: a % that nothing good follows, or a NUL.
static bool decode(char *text) {
    char *to = text;
    for (; *text != 0; text++, to++) {
        *to = *text;
        if (*text != '%') continue;
        int high = digit_of(text[1]), low = high >= 0 ? digit_of(text[2]) : -1;
        if (low < 0 || high + low == 0) return false;
        *to = (char)(high << 4 | low);
        text += 2;
    }
    *to = 0;
    return true;
}

static const char *mount_add(struct options *options, const char *value) {
    struct option_mount *m = &options->mounts[options->mount_count];
    const size_t size = strlen(value) + 1;
    if (options->mount_count == OPTION_MOUNTS_MAX) return "too many mounts";
    if (size > sizeof(options->text) - options->text_used) return "too long";
    char *tag = options->text + options->text_used, *path, *flag;
    memcpy(tag, value, size);
    path = strchr(tag, ':');
    if (path == NULL || path == tag || path[1] != '/') return "TAG:/PATH or TAG:/PATH:ro is expected";
    *path++ = 0;
    flag = strchr(path, ':');
    if (flag != NULL) *flag++ = 0;
    if ((flag != NULL && strcmp(flag, "ro") != 0) || !decode(path)) return "TAG:/PATH or TAG:/PATH:ro is expected";
    *m = (struct option_mount){.tag = tag, .path = path, .read_only = flag != NULL};
    options->mount_count++;
    options->text_used += size;
    return NULL;
}

static const char *setting_add(struct options *options, const char *key, const char *value) {
    size_t key_size = strlen(key) + 1, value_size = strlen(value) + 1;
    if (options->setting_count == OPTION_SETTINGS_MAX) return "too many settings";
    if (key_size + value_size > sizeof(options->text) - options->text_used) return "too long";
    char *text = options->text + options->text_used;
    memcpy(text, key, key_size);
    memcpy(text + key_size, value, value_size);
    options->settings[2 * options->setting_count] = text;
    options->settings[2 * options->setting_count + 1] = text + key_size;
    options->settings[2 * ++options->setting_count] = NULL;
    options->text_used += key_size + value_size;
    return NULL;
}

static const char *word_take(struct options *options, char *word) {
    char *key = word + strlen(PREFIX), *equals = strchr(key, '=');
    const char *value = "1";
    if (equals != NULL) {
        *equals = 0;
        value = equals + 1;
    }
    if (*key == 0) return "a key is missing";
    const char *wrong = strcmp(key, "mode") == 0    ? mode_set(options, value)
                        : strcmp(key, "test") == 0  ? suite_set(options, value, MODE_TEST)
                        : strcmp(key, "bench") == 0 ? suite_set(options, value, MODE_BENCH)
                        : strcmp(key, "mount") == 0 ? mount_add(options, value)
                                                    : setting_add(options, key, value);
    if (equals != NULL) *equals = '=';  // a complaint shows the whole word
    return wrong;
}

void options_parse(struct options *options, const char *line, complain_fn *complain, void *context) {
    memset(options, 0, sizeof(*options));
    while (*line != 0) {
        char word[WORD_MAX];
        size_t length = 0;
        while (*line == ' ' || *line == '\t' || *line == '\n') line++;
        while (line[length] != 0 && line[length] != ' ' && line[length] != '\t' && line[length] != '\n') length++;
        bool ours = length >= strlen(PREFIX) && strncmp(line, PREFIX, strlen(PREFIX)) == 0;
        size_t kept = length < WORD_MAX ? length : WORD_MAX - 1;
        memcpy(word, line, kept);
        word[kept] = 0;
        line += length;
        const char *what = !ours ? NULL : length >= WORD_MAX ? "a word is too long" : word_take(options, word);
        if (what != NULL) complain(context, word, what);
    }
}
