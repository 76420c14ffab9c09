// Says that it is there, and waits for input.
#include <unistd.h>

int main(void) {
    char byte = '.';
    write(1, &byte, 1);
    return read(0, &byte, 1) == 0 ? 0 : 1;
}
