"""Writes the C bindings of a protocol: structures, client functions, server dispatch."""
from protocol import SCALARS


def data_fields(fields: list) -> list:
    return [f for f in fields if f.type != "handle"]


def handle_fields(fields: list) -> list:
    return [f for f in fields if f.type == "handle"]


def struct(name: str, fields: list) -> str:
    lines = [f"struct {name} {{"]
    for field in data_fields(fields):
        if field.type in SCALARS:
            lines.append(f"    {SCALARS[field.type]} {field.name};")
        elif field.type == "text":
            lines.append(f"    char {field.name}[{field.size}];")
        else:
            lines += [f"    uint32_t {field.name}_size;", f"    uint8_t {field.name}[{field.size}];"]
    lines += [f"    kpio_handle {f.name};  // {f.kind}" for f in handle_fields(fields)]
    return "\n".join(lines + ["};"])


def wire_size(name: str, fields: list, variable: str) -> str:
    """Bytes of the message: handles travel apart, unused trailing bytes not at all."""
    data = data_fields(fields)
    if not data:
        return "0"
    last = data[-1]
    if last.type == "bytes":
        return f"(uint32_t)offsetof(struct {name}, {last.name}) + {variable}->{last.name}_size"
    return f"(uint32_t)(offsetof(struct {name}, {last.name}) + sizeof({variable}->{last.name}))"


def minimum_size(name: str, fields: list) -> str:
    data = data_fields(fields)
    if not data:
        return "0"
    last = data[-1]
    return f"offsetof(struct {name}, {last.name})" if last.type == "bytes" else \
        f"offsetof(struct {name}, {last.name}) + sizeof(((struct {name} *)0)->{last.name})"


def encode(name: str, fields: list) -> str:
    """Puts a structure into the message page and thread block; returns the header."""
    lines = [f"static inline uint64_t {name}_encode(uint32_t label, const struct {name} *data) {{"]
    handles = handle_fields(fields)
    size = wire_size(name, fields, "data")
    if size != "0":
        lines += [f"    uint32_t size = {size};", "    memcpy(thread_message(), data, size);"]
    for index, field in enumerate(handles):
        rights = " | ".join(f"KPIO_RIGHT_{r}" for r in field.rights) or "KPIO_RIGHTS_SAME"
        lines.append(f"    message_handle({index}, data->{field.name}, {rights}, KPIO_SEND_COPY);")
    if not data_fields(fields) and not handles:
        lines.append("    (void)data;")
    return "\n".join(lines + [f"    return KPIO_MESSAGE(label, {'0' if size == '0' else 'size'}, {len(handles)});", "}"])


def decode(name: str, fields: list) -> str:
    """Takes a structure out of the message page; false when the message is not one."""
    data, handles = data_fields(fields), handle_fields(fields)
    lines = [f"static inline bool {name}_decode(uint64_t header, struct {name} *data) {{",
             f"    if (KPIO_MESSAGE_HANDLES(header) != {len(handles)}) return false;"]
    if data:
        lines += ["    uint32_t size = KPIO_MESSAGE_BYTES(header);",
                  f"    if (size < {minimum_size(name, fields)} || size > sizeof(*data)) return false;",
                  "    memcpy(data, thread_message(), size);"]
        last = data[-1]
        if last.type == "bytes":
            lines.append(f"    if (data->{last.name}_size > sizeof(data->{last.name}) || size < "
                         f"offsetof(struct {name}, {last.name}) + data->{last.name}_size) return false;")
        lines += [f"    data->{f.name}[sizeof(data->{f.name}) - 1] = 0;" for f in data if f.type == "text"]
    elif not handles:
        lines.append("    (void)data;")
    for index, field in enumerate(handles):
        lines.append(f"    data->{field.name} = message_handle_taken({index}, KPIO_KIND_{field.kind.upper()});")
    return "\n".join(lines + ["    return true;", "}"])


def client(protocol, message) -> str:
    prefix = f"{protocol.name}_{message.name}"
    upper = prefix.upper()
    return f"""// {message.text}
// 0, the server's errno, or that of the call; when the server is lost: {message.policy}.
static inline int64_t {prefix}(struct client *client, const struct {prefix}_request *request,
                               struct {prefix}_reply *reply) {{
    struct client_attempt attempt = {{.policy = CLIENT_{message.policy.upper()}}};
    int64_t result;
    do {{
        result = client_connect(client);
        if (result == 0) result = client_call(client, {prefix}_request_encode({upper}, request));
    }} while (client_again(client, &attempt, result));
    if (result < 0) return result;
    if (KPIO_MESSAGE_LABEL(result) != 0) return -(int64_t)KPIO_MESSAGE_LABEL(result);
    return {prefix}_reply_decode((uint64_t)result, reply) ? 0 : -EIO;
}}
"""


def server(protocol) -> str:
    lines = ["// What a server does: 0 or a negative errno each. Handles in a request are the server's; those it puts into a",
             "// reply are copied. A message without a function is ENOSYS.", f"struct {protocol.name}_server {{"]
    for message in protocol.messages:
        prefix = f"{protocol.name}_{message.name}"
        lines.append(f"    int64_t (*{message.name})(void *context, uint64_t badge, const struct {prefix}_request *request,")
        lines.append(f"        struct {prefix}_reply *reply);")
    lines += ["};", f"static inline uint64_t {protocol.name}_dispatch(const struct {protocol.name}_server *server, "
              "void *context, uint64_t header,", "    uint64_t badge) {", "    switch (KPIO_MESSAGE_LABEL(header)) {"]
    for message in protocol.messages:
        prefix = f"{protocol.name}_{message.name}"
        lines += [f"    case {prefix.upper()}: {{", f"        struct {prefix}_request request;",
                  f"        struct {prefix}_reply reply = {{}};",
                  f"        if (server->{message.name} == NULL) break;",
                  f"        if (!{prefix}_request_decode(header, &request)) return message_error(header, EINVAL);",
                  f"        int64_t result = server->{message.name}(context, badge, &request, &reply);",
                  "        if (result == KPIO_REPLY_LATER) return KPIO_REPLY_NONE;",
                  "        if (result < 0) return KPIO_MESSAGE(-result, 0, 0);",
                  f"        return {prefix}_reply_encode(0, &reply);", "    }"]
    return "\n".join(lines + ["    default: break;", "    }", "    return message_error(header, ENOSYS);", "}"])


def bindings_h(protocol) -> str:
    source = f"protocols/{protocol.name}.def"
    lines = [f"// Generated by abi/generate.py from {source}; do not edit.", f"// {protocol.text}", "#pragma once",
             "#include <stdbool.h>", "#include <stddef.h>", "", '#include "lib/string.h"',
             '#include "user/libkpio/client.h"', '#include "user/libkpio/ipc.h"', "", "enum {"]
    for message in protocol.messages:
        lines.append(f"    {protocol.name.upper()}_{message.name.upper()} = {protocol.id << 8 | message.number},")
    lines += ["};", ""]
    for message in protocol.messages:
        for half in ("request", "reply"):
            name, fields = f"{protocol.name}_{message.name}_{half}", getattr(message, half)
            lines += [struct(name, fields), encode(name, fields), decode(name, fields), ""]
        lines.append(client(protocol, message))
    return "\n".join(lines + [server(protocol), ""])
