// Everything of libkpio in one include.
#pragma once
#include "user/libkpio/client.h"
#include "user/libkpio/exception.h"
#include "user/libkpio/file.h"
#include "user/libkpio/fuse.h"
#include "user/libkpio/heap.h"
#include "user/libkpio/ipc.h"
#include "user/libkpio/print.h"
#include "user/libkpio/process.h"
#include "user/libkpio/service.h"
#include "user/libkpio/startup.h"
#include "user/libkpio/thread.h"
#include "user/libkpio/wait.h"
