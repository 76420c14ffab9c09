// Errors of Linux that no native call has (others: abi/errors.def, with Linux's numbers).
#pragma once

#define ESRCH 3  // no such process or thread
#define ECHILD 10
#define ESPIPE 29
#define ELIBBAD 80
#define EPROTOTYPE 91
#define EADDRINUSE 98
#define ECONNREFUSED 111
