/* main: options, --check, start the core, exit code. No logic of its own. */
#include "config.h"

int main(void)
{
	return 0;
}
