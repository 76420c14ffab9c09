#include "lib/string.h"
#include "user/shell/line.h"
#include "user/shell/shell.h"
#include "user/shell/words.h"

_Static_assert(WORDS_MAX >= LINE_MAX / 2, "the words of any line");

static int64_t run_help(unsigned count, char **words) {
    for (size_t i = 0; i < command_count; i++)
        print("  %-28s %s\n", commands[i].usage, commands[i].help);
    print("Arrows move and recall, Ctrl-C drops the line, Ctrl-U and Ctrl-K cut it.\n"
          "'A B' and \"A B\" are one word, and so is A\\ B.\n");
    return 0;
}

static int64_t run_power(unsigned count, char **words) {
    return kpio_system_power(startup_handle("system"), strcmp(words[0], "reboot") == 0);
}

const struct command commands[] = {
    {"help", "help", "this list", run_help},
    {"ps", "ps", "processes, with their jobs", run_ps},
    {"jobs", "jobs", "jobs, what they use and may use", run_jobs},
    {"handles", "handles PID", "what a process holds", run_handles},
    {"memory", "memory", "memory and objects of the whole system", run_memory},
    {"wasm", "wasm", "who has how much of the WASM pool", run_wasm},
    {"disks", "disks", "disks and their partitions", run_disks},
    {"ls", "ls [PATH]", "a directory's entries", run_ls},
    {"cat", "cat PATH", "a file's text", run_cat},
    {"cp", "cp FROM TO", "copies a file", run_cp},
    {"mv", "mv FROM TO", "moves or renames", run_mv},
    {"write", "write PATH WORD ...", "a file with these words", run_write},
    {"mkdir", "mkdir PATH", "makes a directory", run_mkdir},
    {"rm", "rm PATH", "removes a file or an empty directory", run_rm},
    {"mount", "mount DISK|tmpfs PATH", "shows a file system at a directory", run_mount},
    {"umount", "umount PATH", "takes it away", run_umount},
    {"df", "df [PATH]", "room of a file system", run_df},
    {"sync", "sync", "makes all that was written durable", run_sync},
    {"log", "log", "the kernel's log", run_log},
    {"kill", "kill PID", "ends a process", run_kill},
    {"app", "app [VERB ...]", "installs, lists, runs and removes apps", run_app},
    {"services", "services", "what init runs", run_services},
    {"start", "start SERVICE", "starts one that was stopped or given up", run_control},
    {"stop", "stop SERVICE", "ends it for good", run_control},
    {"restart", "restart SERVICE", "kills it; init starts it again", run_control},
    {"replace", "replace SERVICE [PROGRAM]", "a new version takes over its state", run_control},
    {"bench", "bench", "what a few operations cost here", run_bench},
    {"caps", "caps", "what this monitor itself was given", run_caps},
    {"poweroff", "poweroff", "switches the machine off", run_power},
    {"reboot", "reboot", "starts it anew", run_power},
};
const size_t command_count = sizeof(commands) / sizeof(commands[0]);

int64_t word_number(const char *word, uint64_t *number) {
    uint64_t value = 0;
    if (*word == 0) return -EINVAL;
    for (; *word >= '0' && *word <= '9'; word++) value = value * 10 + (uint64_t)(*word - '0');
    if (*word != 0) return -EINVAL;
    *number = value;
    return 0;
}

// Whether the usage allows that many words: [PATH] may be left out, "..." stands for more.
static bool suits(const char *usage, unsigned count) {
    unsigned least = 1, most = 1;
    for (const char *at = usage; *at != 0; at++) {
        if (*at != ' ') continue;
        if (at[1] == '.') {
            most = WORDS_MAX;
        } else {
            most++;
            if (at[1] != '[') least++;
        }
    }
    return count >= least && count <= most;
}

static void run_line(char *line) {
    char *words[WORDS_MAX];
    const char *wrong = NULL;
    unsigned count = words_split(line, words, WORDS_MAX, &wrong);
    if (wrong != NULL) print("this line cannot be understood: %s\n", wrong);
    if (count == 0) return;
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(commands[i].name, words[0]) != 0) continue;
        if (!suits(commands[i].usage, count)) {
            print("usage: %s\n", commands[i].usage);
            return;
        }
        int64_t result = commands[i].run(count, words);
        if (result < 0) print("%s: %s\n", words[0], error_name(result));
        return;
    }
    print("%s: no such command; help lists them\n", words[0]);
}

int main(int argc, char **argv) {
    char line[LINE_MAX];
    print("\nKPIO monitor; help lists the commands.\n");
    while (line_read("kpio> ", line)) run_line(line);
    print("shell: the console cannot be read\n");
    return 1;
}
