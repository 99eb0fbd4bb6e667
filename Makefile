# Images for MAAS by the names that packer-maas' Ubuntu templates made them under:
#
#   make custom-cloudimg.tar.gz SERIES=jammy        root tar without a kernel, as MAAS' own images
#   make custom-ubuntu.tar.gz CUSTOMIZE=my-changes.sh
#   make custom-ubuntu-lvm.dd.gz SERIES=noble URL=http://mirror.example.com/releases
#
# SERIES     release, by its name or number (jammy)
# ARCH       amd64 or arm64; what is installed, custom-ubuntu-lvm.dd.gz, is for amd64 alone
# CUSTOMIZE  script that runs inside the new system
# KERNEL     kernel package that the image has to have
# URL, SUMS  where the installer's media are, below URL/SERIES/, and what their list is called there; of use
#            to what is installed: custom-ubuntu-lvm.dd.gz
# TIMEOUT    limit of the installation (1h)
# PACKER_LOG 1 shows every command and what it prints
# OPTIONS    more options of ./bin/create-image-ubuntu
# HTTP_PROXY is taken from the environment, as are https_proxy and no_proxy, in either case
#
# The two tar files are made from packages, without a virtual machine; with OPTIONS="--method cloud-image" from
# the vendor's cloud image. Each build is kept below bits/.

SERIES ?= jammy
ARCH ?= amd64
URL ?= http://releases.ubuntu.com
SUMS ?= SHA256SUMS
TIMEOUT ?= 1h
PACKER_LOG ?= 0
CUSTOMIZE ?=
KERNEL ?=
OPTIONS ?=

IMAGES = custom-cloudimg.tar.gz custom-ubuntu.tar.gz custom-ubuntu-lvm.dd.gz

# A series as it is typed by hand (Jammy) is a name of Ubuntu's all the same.
series := $(shell printf '%s' '$(SERIES)' | tr A-Z a-z)

build = ./bin/create-image-ubuntu $(series) --target maas --name $@ \
	$(if $(filter-out amd64,$(ARCH)),--arch '$(ARCH)') \
	$(if $(CUSTOMIZE),--customize '$(CUSTOMIZE)') \
	$(if $(KERNEL),--kernel '$(KERNEL)') \
	$(if $(filter 1,$(PACKER_LOG)),--verbose)

# The vendor's own address, and its mirrors of old releases, are what the command knows by itself.
media = $(if $(filter-out http://releases.ubuntu.com SHA256SUMS,$(URL) $(SUMS)),--media '$(URL)/$(series)/' --sums '$(SUMS)')

# The file takes its name when it is whole.
define put
image=$$($(build) $(1) $(OPTIONS)) && cp "$$image" $@.partial && mv $@.partial $@
endef

.PHONY: all clean check-deps check-installer $(IMAGES)

all: custom-cloudimg.tar.gz

custom-cloudimg.tar.gz custom-ubuntu.tar.gz:
	$(call put,--format tgz)

custom-ubuntu-lvm.dd.gz: check-installer
	$(call put,--format ddgz --method installer --layout lvm --timeout '$(TIMEOUT)' $(media))

check-installer:
	@test '$(ARCH)' = amd64 || { \
	  echo "ARCH=$(ARCH) does not fit custom-ubuntu-lvm.dd.gz: it is made by the installer, which is run on amd64" >&2; \
	  echo "  From packages: ./bin/create-image-ubuntu $(series) --arch $(ARCH) --target maas --format ddgz --layout lvm" >&2; \
	  exit 2; }

check-deps:
	./bin/check-host

clean:
	rm -f $(IMAGES) $(addsuffix .partial,$(IMAGES))
