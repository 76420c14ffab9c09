// The boot console as somebody's terminal: what is on the other side of the line (host/kpio/terminal.py) and this one tell each
// other beside what is typed and shown. In both directions a byte TERMINAL_ESCAPE begins that; twice, it is the byte itself. The
// setting window=ROWSxCOLUMNS says that the other side does so, and how large its window is.
//
//     from the guest   b           a session begins: what came before were the system's messages
//                      e SS        it has ended, with this exit status (two hexadecimal digits)
//     to the guest     w RRRRCCCC  the window's size, in hexadecimal digits
#pragma once

#define TERMINAL_ESCAPE 0xff
#define TERMINAL_BEGIN  'b'
#define TERMINAL_END    'e'
#define TERMINAL_WINDOW 'w'
#define TERMINAL_WINDOW_DIGITS 8u
