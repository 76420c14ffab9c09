#include "user/libkpio/startup.h"

#include "lib/string.h"
#include "user/libkpio/thread.h"

// Each thread's block leads to the page: so a program without variables of its own needs no memory for them.
const struct kpio_startup *startup_page(void) {
    return (const struct kpio_startup *)thread_self()->user_data[THREAD_SLOT_STARTUP];
}

int startup_arguments(char *argv[STARTUP_ARGUMENTS_MAX + 1]) {
    const struct kpio_startup *page = startup_page();
    const char *text = page->text;
    uint32_t count = 0;
    for (; count < page->argc && count < STARTUP_ARGUMENTS_MAX; count++) {
        argv[count] = (char *)text;
        text += strlen(text) + 1;
    }
    argv[count] = NULL;
    return (int)count;
}

static const struct kpio_startup_handle *find_handle(const struct kpio_startup *page, const char *name) {
    for (uint32_t i = 0; i < page->handle_count; i++)
        if (strcmp(page->handles[i].name, name) == 0) return &page->handles[i];
    return NULL;
}

kpio_handle startup_handle(const char *name) {
    const struct kpio_startup_handle *found = find_handle(startup_page(), name);
    return found == NULL ? KPIO_HANDLE_NONE : found->handle;
}

const char *startup_setting(const char *key) {
    const struct kpio_startup *page = startup_page();
    size_t length = strlen(key);
    uint32_t at = 0;
    for (uint32_t i = 0; at < page->text_bytes; i++) {
        const char *text = page->text + at;
        if (i >= page->argc && strncmp(text, key, length) == 0 && text[length] == '=') return text + length + 1;
        at += (uint32_t)strlen(text) + 1;
    }
    return NULL;
}

uint64_t startup_number(const char *key, uint64_t otherwise) {
    const char *at = startup_setting(key);
    uint64_t value = 0;
    if (at == NULL) return otherwise;
    for (; *at >= '0' && *at <= '9'; at++) value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

void startup_clear(struct kpio_startup *page) {
    memset(page, 0, offsetof(struct kpio_startup, handles));
    page->magic = KPIO_STARTUP_MAGIC;
    page->version = KPIO_STARTUP_VERSION;
}

int startup_add_handle(struct kpio_startup *page, const char *name, kpio_handle handle) {
    size_t length = strlen(name);
    if (length == 0 || length > KPIO_STARTUP_NAME_MAX || find_handle(page, name) != NULL) return -EINVAL;
    if (page->handle_count == KPIO_STARTUP_HANDLES_MAX) return -ENOSPC;
    struct kpio_startup_handle *entry = &page->handles[page->handle_count++];
    *entry = (struct kpio_startup_handle){.handle = handle};
    memcpy(entry->name, name, length + 1);
    return 0;
}

static int add_text(struct kpio_startup *page, const char *text, size_t length) {
    if (length > KPIO_STARTUP_TEXT_MAX - page->text_bytes) return -ENOSPC;
    memcpy(page->text + page->text_bytes, text, length);
    page->text_bytes += (uint32_t)length;
    return 0;
}

int startup_add_argument(struct kpio_startup *page, const char *text) {
    int error = add_text(page, text, strlen(text) + 1);
    if (error == 0) page->argc++;
    return error;
}

int startup_add_setting(struct kpio_startup *page, const char *key, const char *value) {
    size_t needed = strlen(key) + strlen(value) + 2;
    if (needed > KPIO_STARTUP_TEXT_MAX - page->text_bytes) return -ENOSPC;
    int error = add_text(page, key, strlen(key));
    if (error == 0) error = add_text(page, "=", 1);
    return error ? error : add_text(page, value, strlen(value) + 1);
}

bool startup_is_valid(const struct kpio_startup *page) {
    if (page->magic != KPIO_STARTUP_MAGIC || page->version != KPIO_STARTUP_VERSION) return false;
    if (page->handle_count > KPIO_STARTUP_HANDLES_MAX || page->text_bytes > KPIO_STARTUP_TEXT_MAX) return false;
    for (uint32_t i = 0; i < page->handle_count; i++)
        if (memchr(page->handles[i].name, 0, sizeof(page->handles[i].name)) == NULL) return false;
    uint32_t strings = 0;
    for (uint32_t i = 0; i < page->text_bytes; i++) strings += page->text[i] == 0;
    return strings >= page->argc && (page->text_bytes == 0 || page->text[page->text_bytes - 1] == 0);
}
