#!/bin/sh
# Behind everything else: the repository of /etc begins with the image as it ships. What the packages'
# installation put into it, identities of the build among it, is gone.
#
# Environment: IMAGE_NAME, IMAGE_VERSION, SOURCE_DATE_EPOCH where the image is one that can be made again.
set -eu

if command -v etckeeper >/dev/null; then
  # In a system that runs, its own daily commit may come in between.
  if [ -d /run/systemd/system ]; then systemctl stop etckeeper.timer etckeeper.service; fi
  rm -rf /etc/.git
  rm -f /etc/.etckeeper
  # A system that is being built has no name, by which git would know who commits.
  export HOME=/root GIT_AUTHOR_NAME=root GIT_AUTHOR_EMAIL=root@localhost \
    GIT_COMMITTER_NAME=root GIT_COMMITTER_EMAIL=root@localhost
  if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
    export GIT_AUTHOR_DATE="@$SOURCE_DATE_EPOCH +0000" GIT_COMMITTER_DATE="@$SOURCE_DATE_EPOCH +0000"
  fi
  etckeeper init
  etckeeper commit "Image $IMAGE_NAME $IMAGE_VERSION"
  # The index has numbers and times of the files as they lie here: git finds those of the image by itself.
  rm /etc/.git/index
  git -C /etc read-tree HEAD
fi
