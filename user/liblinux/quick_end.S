// Code before this is on the way of most programs and is mapped when one starts; code behind it comes when it is called. The order is
// that of the link (mk/liblinux.mk).
    .text
    .globl lx_quick_end
    .hidden lx_quick_end
lx_quick_end:
